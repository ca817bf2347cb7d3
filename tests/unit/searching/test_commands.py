"""`lookalike search` and `lookalike embed` as somebody types them."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lookalike import search
from lookalike.cli import main
from lookalike.embedding.tables import read_metadata, write_embeddings
from lookalike.errors import LookalikeError
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from support.searched import RUN, Searched, make_searched, threshold

KEYS = ["query", "place", "gallery_id", "label", "score", "accepted"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def stopped(*arguments: object) -> object:
    with pytest.raises(SystemExit) as status:
        main([str(argument) for argument in arguments])
    return status.value.code


def test_json_on_standard_output_and_all_else_beside_it(
    kept: Searched, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = kept.data / "query_images"
    assert main(["search", str(kept.results), str(folder), "--k", "2", "--json"]) == 0
    out, err = capfd.readouterr()
    rows = json.loads(out)
    assert [list(row) for row in rows] == [KEYS] * 12
    assert [row["place"] for row in rows] == [1, 2] * 6
    assert rows[0]["query"] == str(kept.queries[0])
    assert {row["accepted"] for row in rows} == {None}
    assert f"{RUN} has no threshold" in err


def test_ten_answers_in_a_table_are_the_default(
    kept: Searched, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(kept.results), str(kept.queries[0])]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == KEYS[:-1]
    assert len(lines) == 11


def test_options_stand_anywhere(kept: Searched, capfd: pytest.CaptureFixture[str]) -> None:
    first, second, third = map(str, kept.queries[:3])
    said = []
    for arguments in (
        [first, second, third, "--k", "1", "--json"],
        ["--json", first, "--k", "1", second, third],
        ["--k", "1", "--json", first, second, third],
    ):
        assert main(["search", str(kept.results), *arguments]) == 0
        said.append(capfd.readouterr().out)
    assert said[0] == said[1] == said[2]
    assert len(json.loads(said[0])) == 3


def test_names_come_on_standard_input(
    kept: Searched, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names = "".join(f"{path}\n" for path in kept.queries[:2])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(names.encode())))
    assert main(["search", str(kept.results), "-", "--k", "1", "--csv"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == ",".join(KEYS)
    assert [line.split(",")[0] for line in lines[1:]] == [str(path) for path in kept.queries[:2]]


def test_the_threshold_says_what_is_not_in_the_gallery(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = kept.copy(tmp_path / "project")
    threshold(made.run, 2.0)
    asked = [str(made.queries[2]), str(made.data / "gallery/0010_003.png")]
    assert main(["search", str(made.results), *asked, "--k", "1"]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[1].endswith("not in the gallery")
    assert out.splitlines()[2].endswith("below the threshold")
    assert f"{asked[1]}: the image itself is in the gallery as 0010_003.png, left out" in err
    assert "1 of 2 not in the gallery by the threshold of default.0, 2.0000" in err
    assert "1 of 2 are in the gallery, and no other image reaches the threshold" in err
    assert main(["search", str(made.results), "--gallery-itself", "--k", "1"]) == 0
    out, err = capfd.readouterr()
    assert "not in the gallery" not in out + err
    assert "26 of 26 are in the gallery, and no other image reaches the threshold" in err


def test_bad_images_are_named_the_others_answered_and_the_status_is_1(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    arguments = [kept.results, kept.queries[0], bad, tmp_path / "absent.png", "--k", "1", "--json"]
    assert stopped("search", *arguments) == 1
    out, err = capfd.readouterr()
    assert [row["query"] for row in json.loads(out)] == [str(kept.queries[0])]
    assert f"left out: {bad}: " in err
    assert "absent.png: no such file" in err
    assert "error: 2 of 3 images could not be used" in err
    assert stopped("search", *arguments, "--on-bad", "fail") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert f"error: {bad}: " in err


def test_where_no_image_can_be_used_the_answers_are_none_and_no_older_ones_stay(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad, page = tmp_path / "bad.png", tmp_path / "page.html"
    bad.write_bytes(b"no image")
    arguments = ["search", kept.results, bad]
    assert stopped(*arguments, "--json") == 1
    out, err = capfd.readouterr()
    assert json.loads(out) == []
    assert "error: 1 of 1 images could not be used, see above; there is no other" in err
    assert stopped(*arguments, "--csv") == 1
    assert capfd.readouterr().out == ",".join(KEYS) + "\n"
    assert main([*map(str, arguments[:2]), str(kept.queries[0]), "--html", str(page)]) == 0
    assert str(kept.queries[0]) in page.read_text()
    assert stopped(*arguments, "--html", page) == 1
    text = " ".join(page.read_text().split())
    assert str(kept.queries[0]) not in text
    assert "0 images looked for" in text
    assert "1 image could not be used, and is not here." in text


def test_every_gallery_image_is_looked_for_without_a_network(
    kept: Searched,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lookalike.searching.commands.ImageEmbedder", None)
    assert main(["search", str(kept.results), "--gallery-itself", "--k", "3", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) == 3 * pq.read_metadata(kept.run / "embeddings/gallery.parquet").num_rows
    page = tmp_path / "page.html"
    assert main(["search", str(kept.results), "--gallery-itself", "--html", str(page)]) == 0
    assert page.read_text().count('<li class="query">') == len(rows) // 3


def test_a_page_takes_the_place_of_nothing_that_is_read(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "a.png"
    shutil.copy(kept.queries[0], image)
    before = image.read_bytes()
    for out in (image, kept.run / "model.json", tmp_path, image / "below", "x" * 300):
        assert stopped("search", kept.results, image, "--html", out) == 1
        assert stopped("embed", kept.results, tmp_path, "--out", out) == 1
        err = capfd.readouterr().err.splitlines()
        assert len(err) == 2, err
    assert image.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_what_a_page_leaves_out_is_warned_of(
    kept: Searched,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lookalike.searching.page.MOST_PICTURES", 30)
    page = str(tmp_path / "page.html")
    assert main(["search", str(kept.results), "--gallery-itself", "--k", "4", "--html", page]) == 0
    assert "has the first 6 of 26 images" in capfd.readouterr().err


def test_a_reader_that_has_seen_enough_ends_it_quietly(kept: Searched) -> None:
    program = "import sys; from lookalike.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "search", kept.results, "--gallery-itself"]
    with subprocess.Popen(
        [*map(str, command), "--k", "1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read().decode()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_embed_writes_the_table_of_the_workflow_but_for_labels(
    kept: Searched, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "table.parquet"
    folder = kept.data / "gallery"
    assert main(["embed", str(kept.results), str(folder), "--out", str(out)]) == 0
    ours, theirs = pq.read_table(out), pq.read_table(kept.run / "embeddings/gallery.parquet")
    assert ours.schema.equals(theirs.schema)
    assert read_metadata(out) == {
        **read_metadata(kept.run / "embeddings/gallery.parquet"),
        "folder": str(folder),
    }
    assert ours["label"].null_count == len(ours)
    for column in ("image_id", "sha256", "embedding"):
        assert ours[column].equals(theirs[column]), column
    # It is a table to search with; there is nothing to score it by.
    gallery = kept.run / "embeddings/gallery.parquet"
    found = search(out, gallery, 3)
    assert np.array_equal(found.indices, search(gallery, gallery, 3).indices)
    with pytest.raises(LookalikeError, match="column 'label' has empty values"):
        evaluate_files(out, out, tmp_path / "scores", MetricsSettings(bootstrap=0))


def test_what_embed_wrote_is_searched_as_a_gallery(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = kept.copy(tmp_path / "project")
    threshold(made.run, 0.5)
    table, page = tmp_path / "all.parquet", tmp_path / "page.html"
    assert main(["embed", str(made.results), str(made.data / "gallery"), "--out", str(table)]) == 0
    asked = ["search", str(made.results), str(made.data / "query_images"), "--k", "5"]
    capfd.readouterr()
    assert main([*asked, "--json"]) == 0
    of_gallery = json.loads(capfd.readouterr().out)
    assert main([*asked, "--json", "--among", str(table)]) == 0
    out, err = capfd.readouterr()
    # The same images, so the same answers; nobody has said a label.
    assert json.loads(out) == [{**row, "label": ""} for row in of_gallery]
    assert "what the threshold promises: nothing here: it was chosen for the 26 images" in err
    assert "is in the gallery as 0010_000.png, left out" in err  # its own file, by a link
    assert main([*asked, "--html", str(page), "--among", str(table)]) == 0
    assert page.read_text().count("data:image") > 12
    # The folder of its images is known from the table, and nothing is written in it.
    inside = made.data / "gallery" / "page.html"
    assert stopped(*asked, "--html", inside, "--among", table) == 1
    assert "lies among the gallery images" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["none", "another model's"])
def test_another_table_is_of_the_runs_model(
    kind: str, kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.parquet"
    if kind != "none":
        write_embeddings(table, ["a"], ["b"], ["c"], np.ones((1, 4)), {"model_digest": "another"})
    status = stopped("search", kept.results, kept.queries[0], "--among", table)
    assert status == 1
    err = capfd.readouterr().err
    assert f"error: {table}: " in err and "lookalike embed" in err


def test_embed_leaves_no_part_of_a_table(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "images", tmp_path / "table.parquet"
    folder.mkdir()
    for path in kept.queries:
        shutil.copy(path, folder)
    (folder / "z.png").write_bytes(b"no image")
    assert stopped("embed", kept.results, folder, "--out", out, "--on-bad", "fail") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    assert stopped("embed", kept.results, folder, "--out", out) == 1
    assert "1 of 7 images could not be used" in capfd.readouterr().err
    assert pq.read_metadata(out).num_rows == 6
    before = out.read_bytes()
    for path in kept.queries:
        (folder / path.name).unlink()
    assert stopped("embed", kept.results, folder, "--out", out) == 1
    assert out.read_bytes() == before
    (folder / "z.png").unlink()
    (folder / "notes.txt").write_text("none of these is an image")
    assert stopped("embed", kept.results, folder, "--out", out) == 1
    assert "there are no images in it" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "r"],
        ["search", "r", "a.png", "--gallery-itself"],
        ["search", "r", "a.png", "--json", "--csv"],
        ["search", "r", "a.png", "--json", "--html", "p.html"],
        ["search", "r", "a.png", "--k", "0"],
        ["search", "r", "a.png", "--k", "x"],
        ["search", "r", "a.png", "--k", "9" * 5000],
        ["search", "r", ""],
        ["search", "r", "--k", "3", ""],
        ["search", "r", "--gallery-itself", "a.png"],
        ["search", "r", "a.png", "--nosuch"],
        ["search", "r", "--k", "3", "a.png", "--nosuch", "b.png"],
        ["embed", "r", "f", "--out", "t.parquet", "g"],
        ["search", "", "a.png"],
        ["search", "r", "a\0.png"],
        ["embed", "r", "f"],
        ["embed", "r", "f", "--out", ""],
    ],
)
def test_wrong_usage_is_told_without_loading_torch(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert stopped(*arguments) == 2
    assert "usage: lookalike" in capfd.readouterr().err


def test_help_loads_no_torch() -> None:
    program = (
        "import sys; from lookalike.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('heavy', {'torch', 'numpy', 'pyarrow'} & set(sys.modules))"
    )
    for command in (["search", "--help"], ["search", "r"], ["embed", "--help"]):
        said = subprocess.run(
            [sys.executable, "-c", program, *command], capture_output=True, text=True
        )
        assert "heavy set()" in said.stdout, said
