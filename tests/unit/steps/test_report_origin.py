"""Where the page comes from, and how to use the model: read back from the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from lookalike.storage.files import write_parquet
from support.html_reader import Node, parse
from support.page_parts import repeatable_part, without_origin
from support.report_folder import EVIL, LABELS, STARTED, Made, make_folder

HEAD = "s\th:m:s\tmax_rss"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_folder(
        tmp_path_factory.mktemp("report"),
        dict(zip(LABELS, [4, 4, 4, 4, 2], strict=True)),
        dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)),
    )


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )


def rows_of(table: Node) -> dict[str, list[str]]:
    rows = [row.all("th") + row.all("td") for row in table.one("tbody").all("tr")]
    return {cells[0].text: [" ".join(cell.text.split()) for cell in cells[1:]] for cells in rows}


def test_the_fold_says_how_the_run_was_started(made: Made) -> None:
    started = replace(
        STARTED,
        command="snakemake --configfile 'my <b>.yaml'",
        settings=["base.yaml", "my <b>.yaml"],
        executor="slurm",
        cores=7,
    )
    text = made.write(started=started)
    facts = rows_of(section(parse(text), "origin").all("table")[0])
    assert facts["Started in"] == ["/home/me/shoes"]
    assert facts["Data"] == ["data"]
    assert facts["Results"] == ["results"]
    assert facts["Settings"] == ["base.yaml, then my <b>.yaml"]
    assert facts["Command"] == ["snakemake --configfile 'my <b>.yaml'"]
    assert facts["Written"] == ["2026-01-31 09:05 (UTC+0100)"]
    assert "jobs ran by slurm" in facts["Machine"][0]
    assert facts["Networks ran on"] == ["cpu"]
    assert facts["Cores given"][0].startswith("7, ")
    assert "numpy" in facts["Libraries"][0]
    assert "commit" in facts["Code"][0]
    assert "<b>" not in text


def test_what_is_not_known_is_said_to_be(made: Made) -> None:
    started = replace(STARTED, command="", settings=[], cores=None)
    page = section(parse(made.write(started=started)), "origin")
    facts = rows_of(page.all("table")[0])
    assert facts["Command"] == ["not known: not a command line"]
    assert facts["Settings"] == ["no file was named: those of config.yaml"]
    assert facts["Cores given"] == ["not known"]
    # Trainings alone are known, by their histories: three of four epochs of 0.4 s.
    assert rows_of(page.all("table")[1]) == {"train": ["3", "4.8 s", "1.6 s", "–"]}


def test_each_step_has_its_time(made: Made) -> None:
    folder = made.root / "results" / "benchmarks"
    for name, seconds in [("manifest", 200), ("default.0/metrics", 3), ("other.0/metrics", 4)]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.tsv").write_text(f"{HEAD}\n{seconds}\t0:00:03\t1200.4\n")
    (folder / "compare.tsv").write_text("torn")
    page = section(parse(made.write()), "origin")
    steps = rows_of(page.all("table")[1])
    assert list(steps) == ["manifest", "metrics", "train"]
    assert steps["manifest"] == ["1", "3 min", "3 min", "1,200 MB"]
    assert steps["metrics"] == ["2", "7 s", "4 s", "1,200 MB"]
    assert "1 measurement could not be read" in page.text


def test_only_the_fold_tells_when_and_how(made: Made) -> None:
    one = made.write()
    other = made.write(
        started=replace(
            STARTED,
            command="snakemake --cores 1",
            settings=[],
            folder="/elsewhere/shoes",
            cores=1,
            executor="slurm",
            written="2026-02-01 09:05 (UTC+0100)",
        )
    )
    assert one != other
    assert without_origin(one) == without_origin(other)
    # What is left out of a comparison is little, and no number of a result.
    assert len(repeatable_part(one)) > 0.9 * len(one)
    assert "mAP@10" in repeatable_part(one)


@pytest.mark.parametrize(
    ("other", "title"),
    [
        ({}, "shoes/data: default.0 of 3 runs in results"),
        ({"results": "results/new"}, "shoes/data: default.0 of 3 runs in results/new"),
        ({"folder": "/home/me/bags"}, "bags/data: default.0 of 3 runs in results"),
        ({"data_root": "/a/b/c"}, "b/c: default.0 of 3 runs in results"),
    ],
)
def test_pages_of_other_things_have_other_titles(
    made: Made, other: dict[str, str], title: str
) -> None:
    page = parse(made.write(started=replace(STARTED, **other)))  # type: ignore[arg-type]
    assert page.one("title").text == f"{title} – Title of {EVIL}"
    assert page.one("h1").text == f"Title of {EVIL}"


def test_the_runs_are_counted_in_the_title(made: Made) -> None:
    page = parse(made.write(runs=[("default", 1, 0.0)]))
    assert page.one("title").text.startswith("shoes/data: default in results – ")


def test_commands_have_the_paths_of_this_run(made: Made) -> None:
    page = parse(made.write(started=replace(STARTED, results="my results")))
    blocks = [block.text for block in section(page, "use").all("pre")]
    assert len(blocks) == 4
    lines = "\n".join(blocks).splitlines()
    assert "lookalike search 'my results' photo.jpg --run default.0" in lines
    assert "lookalike export 'my results' --run default.0 --check" in lines
    assert len(blocks[-1].splitlines()) == 3
    assert "'my results/default.0/embeddings/gallery.parquet'" in blocks[-1]
    assert "storage" not in section(page, "use").text
    # With one seed, too, whose run is shown without it.
    alone = section(parse(made.write(runs=[("default", 0, 0.0)])), "use").text
    assert "For default.0," in alone and "elsewhere" not in alone
    stored = parse(made.write(started=replace(STARTED, in_storage=True)))
    assert "The results lie in storage: copy results" in section(stored, "use").text
    assert rows_of(section(stored, "origin").all("table")[0])["Results"] == ["results, in storage"]


def test_embeddings_from_elsewhere_have_no_model_to_use(made: Made) -> None:
    settings = {"embeddings": {"query": "q.parquet", "gallery": "g.parquet"}}
    page = parse(made.write(runs=[("default", 0, 0.0)], given={"default": settings}))
    use = section(page, "use")
    assert "there is no model here" in use.text
    assert [block.text for block in use.all("pre")] == [
        "lookalike search results --gallery-itself --run default.0 --html near.html"
    ]
    facts = rows_of(section(page, "origin").all("table")[0])
    assert facts["Networks ran on"] == ["no device of ours: all embeddings came from elsewhere"]


def test_a_page_of_unknown_start_leaves_both_out(made: Made) -> None:
    page = parse(made.write(started=None))
    names = {node.attributes.get("aria-labelledby") for node in page.all("section")}
    assert not names & {"use", "origin"}
    assert "numbers" in names
    assert page.one("title").text == f"default.0 of 3 runs – Title of {EVIL}"


def times_in(page: Node) -> list[str]:
    """What the table of runs says of its first run: epochs, total, an epoch with its speed."""
    table = next(
        node for node in section(page, "setup").all("table") if "An epoch" in node.one("thead").text
    )
    return next(iter(rows_of(table).values()))[4:7]


def test_epochs_stand_by_their_median_and_doubt_is_said(tmp_path: Path) -> None:
    made = make_folder(tmp_path, {"plain": 3, "rare": 2}, {"plain": 4, "rare": 3})
    page = parse(made.write())
    assert times_in(page) == ["4", "1.6 s", "0.4 s 100 images/s"]
    assert "other work may have run" not in page.text
    path = tmp_path / "results" / "default.0" / "history.parquet"
    history = pd.read_parquet(path)
    for seconds, epoch, words in [
        (
            [0.5, 0.4, 1.3, 0.5],
            "0.5 s",
            "Epochs of default.0 (0.4 s to 1.3 s) differ more than twofold",
        ),
        ([9.0, 0.4, 0.5, 0.6], "0.55 s", "The first epoch of default.0 (0.4 s to 9 s) took more"),
    ]:
        write_parquet(path, pa.Table.from_pandas(history.assign(seconds=seconds)))
        page = parse(made.write())
        speed = (40 / pd.Series(seconds)).median()
        assert times_in(page)[2] == f"{epoch} {speed:.0f} images/s"
        assert words in section(page, "setup").text
        assert "other work may have run" in section(page, "setup").text


def test_what_is_compared_of_two_pages_knows_no_times(tmp_path: Path) -> None:
    made = make_folder(tmp_path, {"plain": 3, "rare": 2}, {"plain": 4, "rare": 3})
    before = made.write()
    path = tmp_path / "results" / "default.0" / "history.parquet"
    history = pd.read_parquet(path)
    slower = history.assign(seconds=[700.0, 900.0, 0.5, 30.0], images_per_second=[1.0, 2, 3, 4])
    write_parquet(path, pa.Table.from_pandas(slower))
    after = made.write(started=replace(STARTED, written="2027-01-01 00:00 (UTC+0000)"))
    assert without_origin(after) != without_origin(before)
    assert "other work may have run" in after
    assert repeatable_part(after) == repeatable_part(before)
    # A number of the training is compared.
    write_parquet(path, pa.Table.from_pandas(history.assign(loss=history["loss"] * 2)))
    assert repeatable_part(made.write()) != repeatable_part(before)
