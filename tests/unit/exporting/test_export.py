"""From a run to two models that answer as the run does, or to one message."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
import pytest

from lookalike import __version__
from lookalike.cli import main
from lookalike.embedding.tables import read_metadata, write_embeddings
from lookalike.images.decoding import read_image
from lookalike.images.resizing import ImageSettings, load_pixels
from support.project import ROOT
from support.searched import RUN, Searched, make_searched

PIXELS, IMAGES = NAMES = ["model.onnx", "model_of_images.onnx"]
ALL = ["export.json", *NAMES]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


@pytest.fixture(scope="module")
def exported(kept: Searched) -> Path:
    out = kept.root / "exported"
    assert main(["export", str(kept.results), "--format", "onnx", "--out", str(out)]) == 0
    return out


def stopped(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def run_model(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["images"]
    (embeddings,) = session.run(["embeddings"], {"images": images})
    return np.asarray(embeddings)


def test_both_models_embed_as_the_run_did(kept: Searched, exported: Path) -> None:
    table = pq.read_table(kept.run / "embeddings" / "gallery.parquet")
    expected = np.array(table["embedding"].to_pylist(), np.float32)
    files = [kept.data / "gallery" / name for name in table["image_id"].to_pylist()]
    image = ImageSettings.from_dict(json.loads((kept.run / "model.json").read_text())["image"])
    pixels = np.stack([load_pixels(path, image) for path in files])
    assert sorted(path.name for path in exported.iterdir()) == ALL
    assert np.abs(run_model(exported / PIXELS, pixels) - expected).max() <= 1e-4
    for path, vector in zip(files, expected, strict=True):
        (found,) = run_model(exported / IMAGES, read_image(path)[None])
        assert found @ vector >= 0.999


def test_a_model_says_what_it_is_of(kept: Searched, exported: Path) -> None:
    described = json.loads((kept.run / "model.json").read_text())
    for name in NAMES:
        model = onnx.load(exported / name)
        onnx.checker.check_model(model, full_check=True)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert facts.pop("model_digest") == described["digest"]
        assert json.loads(facts.pop("model")) == described["model"]
        assert json.loads(facts.pop("image")) == described["image"]
        assert facts == {"run": RUN, "score": "cosine", "version": __version__}


def test_the_description_is_of_the_models_beside_it(kept: Searched, exported: Path) -> None:
    described = json.loads((kept.run / "model.json").read_text())
    told = json.loads((exported / "export.json").read_text())
    assert (told["run"], told["version"], told["score"]) == (RUN, __version__, "cosine")
    assert told["digest"] == described["digest"]
    assert told["image"] == described["image"]
    assert told["parity"] is None, "nothing was measured"
    for name, of_file in (PIXELS, told), (IMAGES, told["of_images"]):
        assert of_file["file"] == name
        content = (exported / name).read_bytes()
        assert of_file["sha256"] == hashlib.sha256(content).hexdigest()
        assert [entry.version for entry in onnx.load(exported / name).opset_import] == [
            told["opset"]
        ]
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for which, (value,) in (
            ("input", session.get_inputs()),
            ("output", session.get_outputs()),
        ):
            assert of_file[which]["name"] == value.name
            assert of_file[which]["shape"] == value.shape
            assert f"tensor({of_file[which]['dtype'].replace('float32', 'float')})" == value.type
    assert told["input"]["shape"] == ["n", 16, 16, 3]
    assert told["of_images"]["input"]["shape"] == ["n", "height", "width", 3]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("run", [RUN, f"{RUN}/untrained"])
def test_models_lie_in_the_folder_of_their_run_and_a_later_export_takes_their_place(
    kept: Searched, tmp_path: Path, run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = kept.copy(tmp_path / "project")
    if run != RUN:
        shutil.copytree(made.run, made.results / run)
    arguments = ["export", str(made.results), "--run", run]
    before = contents(made.results)
    answer = ["search", str(made.results), str(made.queries[0]), "--json", "--run", run]
    assert main(answer) == 0
    expected = capfd.readouterr().out
    assert main([*arguments, "--check"]) == 0
    err = capfd.readouterr().err
    folder = made.results / run / "export"
    assert sorted(path.name for path in folder.iterdir()) == ALL
    parity = json.loads((folder / "export.json").read_text())["parity"]
    assert parity["n_images"] == 26
    # What is printed, to the digits of it.
    assert f"at most {parity['largest_difference']:.1e} of their length" in err
    assert f"({parity['largest_difference_image']})" in err
    assert f"at least {parity['smallest_cosine']:.6f} ({parity['smallest_cosine_image']})" in err
    assert 0 <= parity["largest_difference"] <= parity["largest_difference_allowed"] == 1e-4
    assert 1.01 > parity["smallest_cosine"] >= parity["smallest_cosine_allowed"] == 0.999
    assert main(answer) == 0
    assert capfd.readouterr().out == expected, "a search takes no notice of it"
    models = {name: (folder / name).read_bytes() for name in NAMES}
    (folder / PIXELS).write_bytes(b"of another training")
    assert main([*arguments, "--out", str(folder)]) == 0
    assert {name: (folder / name).read_bytes() for name in NAMES} == models
    assert json.loads((folder / "export.json").read_text())["parity"] is None
    now = contents(made.results)
    assert {name: now[name] for name in before} == before
    assert now.keys() - before.keys() == {f"{run}/export/{name}" for name in ALL}


def test_an_export_that_fails_leaves_the_one_before(
    kept: Searched, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    (out / PIXELS).write_bytes(b"before")
    before = contents(out)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lookalike.exporting.export.save_text", full)
    assert stopped("export", kept.results, "--out", out) == 1
    assert contents(out) == before
    assert stopped("export", kept.results, "--out", tmp_path / "new") == 1
    assert not contents(tmp_path / "new")


def test_the_same_run_gives_the_same_bytes_and_a_check_says_how_near(
    kept: Searched, exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out_folder = tmp_path / "out"
    arguments = ["export", str(kept.results), "--check", "--run", RUN, "--out", str(out_folder)]
    assert main(arguments) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert f"26 gallery images of {RUN}: from resized pixels, embeddings differ by at most" in err
    assert re.search(r"their cosine is at least (1\.000|0\.999)\d+ \(", err)
    assert "torch" not in err
    for name in NAMES:
        assert (out_folder / name).read_bytes() == (exported / name).read_bytes()


def test_where_they_differ_nothing_is_written(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = kept.copy(tmp_path / "project")
    path = made.run / "embeddings" / "gallery.parquet"
    table, metadata = pq.read_table(path), read_metadata(path)
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    vectors[7, 0] += 2e-3
    ids, labels, sha256s = (table[name].to_pylist() for name in ("image_id", "label", "sha256"))
    write_embeddings(path, ids, labels, sha256s, vectors, metadata)
    out = tmp_path / "out"
    assert stopped("export", made.results, "--out", out, "--check") == 1
    err = capfd.readouterr().err
    assert "error: from resized pixels, embeddings differ by 2.0e-03, above 0.0001" in err
    assert ids[7] in err
    assert not out.exists()


def test_a_gallery_that_has_moved_is_named(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = kept.copy(tmp_path / "project")
    shutil.move(made.data, tmp_path / "elsewhere")
    out = tmp_path / "out"
    assert stopped("export", made.results, "--out", out, "--check") == 1
    assert "name their folder by --gallery-folder" in capfd.readouterr().err
    assert not out.exists()
    gallery = tmp_path / "elsewhere" / "gallery"
    arguments = ["export", made.results, "--out", out, "--check", "--gallery-folder", gallery]
    assert main(list(map(str, arguments))) == 0
    assert f"26 gallery images of {RUN}: " in capfd.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ALL
    assert json.loads((out / "export.json").read_text())["parity"]["n_images"] == 26


def test_what_cannot_be_written_or_read_is_told_before_the_work(
    kept: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("lookalike.exporting.export.network_graph", None)
    (tmp_path / "file").touch()
    (tmp_path / "folder" / NAMES[0]).mkdir(parents=True)
    (tmp_path / "results").symlink_to(kept.results)
    for out in (
        kept.run,
        kept.results,
        kept.results / "exported",
        kept.results / "other.0" / "export",
        kept.run / "export" / "x",
        kept.run / "embeddings",
        tmp_path / "results" / RUN,
        tmp_path / "file",
        tmp_path / "file" / "x",
        tmp_path / "folder",
        "x" * 300,
    ):
        assert stopped("export", kept.results, "--out", out) == 1
        assert len(capfd.readouterr().err.splitlines()) == 1
    assert stopped("export", kept.results, "--run", "absent.0") == 1
    assert "there is no run absent.0" in capfd.readouterr().err
    damaged = kept.copy(tmp_path / "project")
    weights = damaged.run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert stopped("export", damaged.results, "--out", tmp_path / "out") == 1
    assert "does not match the digest in model.json" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", ""],
        ["export", "r", "--format", "torchscript"],
        ["export", "r", "--out", ""],
        ["export", "r", "s"],
        ["export", "r", "--gallery-folder", "g"],
    ],
)
def test_wrong_usage_is_told_without_loading_torch(arguments: list[str]) -> None:
    program = (
        "import sys; from lookalike.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as error: print(error.code)\n"
        "print('heavy', {'torch', 'onnx', 'numpy'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert said.stdout == "2\nheavy set()\n"
    assert "usage: lookalike" in said.stderr


def test_the_program_of_the_docs_finds_the_image_itself(
    kept: Searched, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("docs") / "project"
    text = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
    program = text.split("```python\n")[1].split("```")[0]
    made = kept.copy(tmp_path)
    shutil.copytree(exported, made.run / "export")
    photo = next((kept.data / "gallery").glob("0012*.png"))
    shutil.copy(photo, tmp_path / "photo.jpg")  # what it is says its content
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    name, label, score = said.stdout.split()
    assert name == photo.name
    assert label
    assert float(score) == pytest.approx(1, abs=1e-3)
