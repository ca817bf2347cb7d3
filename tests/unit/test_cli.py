from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lookalike import __version__
from lookalike.cli import main
from lookalike.jobs.torch_devices import choose_device
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from support.drawings import write_images


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Tables as anybody would write them: pandas, whole-number labels, lists of doubles."""
    folder = tmp_path_factory.mktemp("anybody")
    generator = np.random.default_rng(0)
    for name, n in (("query", 20), ("gallery", 60)):
        frame = pd.DataFrame(
            {
                "image_id": [f"{i}.png" for i in range(n)],
                "label": generator.integers(4, size=n),
                "embedding": list(generator.normal(size=(n, 5))),
            }
        )
        frame.to_parquet(folder / f"{name}.parquet")
    return str(folder / "query.parquet"), str(folder / "gallery.parquet")


def test_evaluate_writes_what_the_function_returns(
    tmp_path: Path, tables: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--k", "1,5", "--score", "euclidean", "--exclude", "same_id"]
    options += ["--no-relevant", "zero", "--seed", "3"]
    assert main(["evaluate", *tables, "--out", str(tmp_path / "cli"), *options]) == 0
    assert "mAP@5" in capsys.readouterr().err
    expected = evaluate_files(
        Path(tables[0]),
        Path(tables[1]),
        tmp_path / "function",
        MetricsSettings(k=[1, 5], no_relevant="zero", exclude="same_id", seed=3),
        score="euclidean",
    )
    assert json.loads((tmp_path / "cli" / "metrics.json").read_text()) == expected
    for name in ("metrics.json", "per_query.parquet", "rankings.parquet"):
        written = (tmp_path / "cli" / name).read_bytes()
        assert written == (tmp_path / "function" / name).read_bytes()


def test_defaults_are_the_documented_ones(tmp_path: Path, tables: tuple[str, str]) -> None:
    assert main(["evaluate", *tables, "--out", str(tmp_path), "--score", "cosine"]) == 0
    settings = json.loads((tmp_path / "metrics.json").read_text())["settings"]
    assert settings == {
        "k": [1, 10, 50],
        "no_relevant": "skip",
        "exclude": "none",
        "bootstrap": 1000,
        "bootstrap_unit": "auto",
        "seed": 0,
    }


@pytest.mark.parametrize("place", [0, 1])
def test_a_table_that_is_a_link_in_a_circle_is_named_itself(
    tmp_path: Path, tables: tuple[str, str], place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.parquet").symlink_to(tmp_path / "b.parquet")
    (tmp_path / "b.parquet").symlink_to(tmp_path / "a.parquet")
    both = list(tables)
    both[place] = str(tmp_path / "a.parquet")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *both, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.parquet: " in line
    assert str(tmp_path / "out") not in line


def test_an_error_to_mend_is_one_line_and_status_1(
    tmp_path: Path, tables: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", tables[0], str(tmp_path / "absent.parquet"), "--out", str(tmp_path)])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "absent.parquet: there is no such file" in line


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_evaluate_ranks_on_the_device_named(
    tmp_path: Path, tables: tuple[str, str], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr("lookalike.retrieval.evaluation.accelerator_of", asked.append)
    options = ["--out", str(tmp_path), "--score", "cosine", "--device", device]
    assert main(["evaluate", *tables, *options]) == 0
    assert asked == [choose_device(device)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_there_is_an_error_to_mend(
    tmp_path: Path, tables: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *tables, "--out", str(tmp_path / "out"), "--device", "cuda"])
    assert stopped.value.code == 1
    assert "device: cuda was asked for" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["evaluate"],
        ["measure"],
        ["evaluate", "a", "b", "--out", "c", "--k", "1;10"],
        ["evaluate", "a", "b", "--out", "c", "--k", ""],
        ["evaluate", "a", "b", "--out", "c", "--k", "1,,10"],
        ["evaluate", "a", "b", "--out", "c", "--k", "nan"],
        ["evaluate", "a", "b", "--out", "c", "--k", "9" * 5000],
        ["evaluate", "a", "b", "--out", "c", "--bootstrap", "nan"],
        ["evaluate", "a", "b", "--out", "c", "--bootstrap", "1e3"],
        ["evaluate", "a", "b", "--out", "c", "--seed", "9" * 5000],
        ["evaluate", "a", "b", "--out", "c", "--seed", "0.5"],
        ["evaluate", "a", "b", "--out", ""],
        ["evaluate", "a", "b", "--out", " "],
        ["evaluate", "a", "b", "--out", "c\0d"],
        ["evaluate", "", "b", "--out", "c"],
        ["init"],
        ["init", "a"],
        ["init", "a", ""],
        ["init", "a", "b", "c"],
        ["init", "a", "b", "c", "d", "e"],
        ["init", "a", "b", "c", "--images", "d"],
        ["init", "a", "b", "--images", "d", "c"],
        ["init", "a", "--images", "d", "b", "c"],
        ["evaluate", "a", "b", "c", "--out", "d"],
        ["embed", "a", "b", "--out", "d", "c"],
        ["cache", "a"],
        ["search", "a", "b", "--k", "1", ""],
        ["search", "a", "b", "--k", "1", "--images", "c"],
        ["init", "a", "b", "--as", "folders"],
        ["init", "a", "b", "--copy", "--hardlink"],
        ["init", "a", "b", "--seed", "x"],
        ["init", "a", "b", "--test-share", "0"],
        ["init", "a", "b", "--test-share", "1"],
        ["init", "a", "b", "--test-share", "nan"],
        ["init", "a", "b", "--queries-per-class", "0"],
        ["init", "a", "b", "--queries-per-class", "1.5"],
        ["init", "a", "b", "--queries-per-class", "-1"],
        ["init", "a", "b", "--queries-per-class", "9" * 5000],
        ["init", "a", "b", "--queries-per-class", "000000000012"],
        ["init", "a", "b", "--near-duplicates", "13"],
        ["init", "a", "b", "--near-duplicates", "00013"],
        ["init", "a", "b", "--near-duplicates", "few"],
        ["evaluate", "a", "", "--out", "c"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: lookalike" in capsys.readouterr().err


def test_init_says_what_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for label in range(4):
        write_images(tmp_path / "source" / f"class {label}", [label], [0, 1, 2, 3, 4, 5])
    options = ["--queries-per-class", "2", "--seed", "4", "--near-duplicates", "0", "--copy"]
    assert main(["init", "source", "data", *options]) == 0
    said = capsys.readouterr().out
    assert "snakemake --configfile" in said
    labels = json.loads(Path("data/test_image_info.json").read_text())
    queries = [labels[path.name] for path in Path("data/query_images").iterdir()]
    assert {queries.count(label) for label in queries} == {2}
    assert not any(path.is_symlink() for path in Path("data/gallery").iterdir())
    noted = json.loads(Path("data/init.json").read_text())
    assert (noted["files"], noted["options"]["seed"]) == ("copy", 4)
    with pytest.raises(SystemExit) as stopped:
        main(["init", "source", "data"])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert "--update adds what is new" in line


def test_init_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from lookalike.cli import main; from pathlib import Path\n"
        "try: main(['init', sys.argv[1], sys.argv[2]])\n"
        "except SystemExit as stopped: print(stopped.code, 'torch' in sys.modules)"
    )
    (tmp_path / "source").mkdir()
    write_images(tmp_path / "source", [1, 2], [0])
    options = [str(tmp_path / "source"), str(tmp_path / "source" / "data")]
    answer = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, cwd=tmp_path
    )
    assert answer.stdout.split() == ["1", "False"], answer.stderr
    options[1] = str(tmp_path / "data")
    code = code.replace("except SystemExit", "except ZeroDivisionError") + (
        "\nprint('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, cwd=tmp_path
    )
    assert answer.stdout.splitlines()[-1] == "False", answer.stderr


def test_the_installed_command_answers_without_loading_torch(tmp_path: Path) -> None:
    code = "import sys; from lookalike.cli import main; print('torch' in sys.modules); main()"
    answer = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "lookalike", __version__]
    command = Path(sys.executable).with_name("lookalike")
    helped = subprocess.run([command, "evaluate", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert "--bootstrap-unit" in helped.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", "0"], "k: "),
        (["--k=-1,5"], "k: "),
        (["--k", "1" + "0" * 40], "k: "),
        (["--bootstrap", "-1"], "bootstrap: -1"),
        (["--bootstrap", "1" + "0" * 40], "bootstrap: 1000"),
        (["--seed", "-1"], "seed: -1"),
        (["--seed", "1" + "0" * 40], "seed: 1000"),
        (["--out", "FILE"], "is a file"),
        (["--out", "FILE/below"], "is not a folder"),
        (["--out", "x" * 300], "name too long"),
    ],
)
def test_what_no_number_or_folder_can_be_is_an_error_to_mend(
    tmp_path: Path,
    tables: tuple[str, str],
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").touch()
    out = [] if "--out" in options else ["--out", "out"]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *tables, "--score", "cosine", *out, *options])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message.lower() in line.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


@pytest.mark.parametrize("k", ["1,1,5,5", "1,9007199254740992"])
def test_any_cut_off_that_a_number_can_be_works(
    tmp_path: Path, tables: tuple[str, str], k: str
) -> None:
    options = ["--out", str(tmp_path), "--score", "cosine", "--bootstrap", "0", "--k", k]
    assert main(["evaluate", *tables, *options]) == 0
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["settings"]["k"] == sorted(set(map(int, k.split(","))))
    assert content["ci95"] == {}
