"""Embeddings as .npy and CSV are scored as the same numbers in a parquet table are."""

from __future__ import annotations

import io
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lookalike import evaluate
from lookalike.cli import main
from lookalike.embedding.array_files import embeddings_given
from lookalike.embedding.columns import NamedColumns
from lookalike.errors import LookalikeError
from lookalike.retrieval.output_place import OUTPUTS
from support.project import ROOT

N = 6
LABELS = [3, 1, 3, 1, 2, 2]
IDS = [f"{place}.png" for place in range(N)]
VALUES: NDArray[np.float32] = np.random.default_rng(5).normal(size=(N, 4)).astype(np.float32)
OPTION = "--query-labels"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def given(name: str, labels: str | None = None) -> NamedColumns:
    found = embeddings_given(Path(name), None if labels is None else Path(labels), OPTION)
    assert isinstance(found, NamedColumns)
    return found


def text(rows: Any, delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(repr, map(float, row))) + "\n" for row in rows)


# What a person has: a name, and how it came about.
WRITERS: dict[str, Callable[[Path], Any]] = {
    "e.npy": lambda path: np.save(path, VALUES),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(VALUES)),
    "big_endian.npy": lambda path: np.save(path, VALUES.astype(">f8")),
    "E.NPY": lambda path: path.write_bytes(as_npy(VALUES)),
    "version_2.npy": lambda path: path.write_bytes(as_npy(VALUES, (2, 0))),
    "savetxt.txt": lambda path: np.savetxt(path, VALUES),
    "savetxt.csv": lambda path: np.savetxt(path, VALUES, delimiter=","),
    "tabs.tsv": lambda path: path.write_text(text(VALUES, "\t")),
    "semicolons.csv": lambda path: path.write_text(text(VALUES, ";")),
    "windows.csv": lambda path: path.write_bytes(
        b"\xef\xbb\xbf" + text(VALUES).replace("\n", "\r\n").encode()
    ),
    "pandas.csv": lambda path: pd.DataFrame(VALUES).to_csv(path, index=False),
    "named.csv": lambda path: path.write_text("e0,e1,e2,e3\n" + text(VALUES)),
    "from_1.csv": lambda path: path.write_text("dim 1,dim 2,dim 3,dim 4\n" + text(VALUES)),
}


def as_npy(values: NDArray[Any], version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, version)
    return stream.getvalue()


def as_npz(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, values)
    return stream.getvalue()


@pytest.mark.parametrize("name", WRITERS)
def test_numbers_are_read_as_they_were_written(here: Path, name: str) -> None:
    WRITERS[name](here / name)
    (here / "l.json").write_text(json.dumps(LABELS))
    found = given(name, "l.json")
    np.testing.assert_array_equal(found.columns["embedding"].astype(np.float32), VALUES)
    assert found.columns["image_id"] == [f"{name}:{row}" for row in range(N)]


def test_an_array_is_not_read_into_memory(here: Path) -> None:
    np.save("e.npy", VALUES)
    np.save("l.npy", LABELS)
    assert isinstance(given("e.npy", "l.npy").columns["embedding"], np.memmap)


def test_names_and_labels_may_stand_beside_the_numbers(here: Path) -> None:
    frame = pd.DataFrame(VALUES, columns=[f"e{place}" for place in range(4)])
    frame.insert(0, "image_id", IDS)
    frame.insert(2, "label", [f"0{label}" for label in LABELS])
    frame.to_csv("all.csv", index=False)
    found = given("all.csv")
    assert found.columns["image_id"].to_pylist() == IDS
    assert found.columns["label"].to_pylist() == [f"0{label}" for label in LABELS]
    np.testing.assert_array_equal(found.columns["embedding"].astype(np.float32), VALUES)


def refusals() -> dict[str, tuple[Callable[[], Any], str, str]]:
    """What lies in e.npy or e.csv, and what is said of it."""
    rows = text(VALUES)
    return {
        "objects": (
            lambda: np.save("e.npy", np.array([[1.0], [None]], object)),
            "e.npy",
            "pickle, which is never opened.* np.stack",
        ),
        "a pickle": (
            lambda: Path("e.npy").write_bytes(pickle.dumps(VALUES)),
            "e.npy",
            "pickle, which is never",
        ),
        "cut short": (
            lambda: Path("e.npy").write_bytes(as_npy(VALUES)[:-4]),
            "e.npy",
            "damaged or cut short",
        ),
        "empty": (lambda: Path("e.npy").touch(), "e.npy", "damaged or cut short"),
        "many arrays": (
            lambda: Path("e.npy").write_bytes(as_npz(VALUES)),
            "e.npy",
            r"np\.savez",
        ),
        "one vector": (lambda: np.save("e.npy", VALUES[0]), "e.npy", r"shape \[4\]"),
        "no values": (lambda: np.save("e.npy", VALUES[:, :0]), "e.npy", r"shape \[6, 0\]"),
        "complex": (lambda: np.save("e.npy", VALUES + 1j), "e.npy", "holds complex64"),
        "truths": (lambda: np.save("e.npy", VALUES > 0), "e.npy", "holds bool"),
        "texts": (lambda: np.save("e.npy", VALUES.astype(str)), "e.npy", "holds <U"),
        "an index": (
            lambda: pd.DataFrame(VALUES).to_csv("e.csv"),
            "e.csv",
            'column "" is none of the embedding.*index=False',
        ),
        "an id": (
            lambda: Path("e.csv").write_text("id,e0,e1,e2\n" + rows),
            "e.csv",
            'column "id" is none of the embedding',
        ),
        "a gap": (
            lambda: Path("e.csv").write_text("e0,e1,e3,e4\n" + rows),
            "e.csv",
            "not numbered one after another: e0, e1, e3",
        ),
        "a word": (
            lambda: Path("e.csv").write_text(rows + "1,2,three,4\n"),
            "e.csv",
            "no table of numbers.*three",
        ),
        "an empty value": (
            lambda: Path("e.csv").write_text(rows + "1,2,,4\n"),
            "e.csv",
            "no table of numbers",
        ),
        "a short line": (
            lambda: Path("e.csv").write_text(rows + "1,2,3\n"),
            "e.csv",
            "no table of numbers.*Each line has 4 values",
        ),
        "a comment": (
            lambda: np.savetxt("e.csv", VALUES, delimiter=",", header="e"),
            "e.csv",
            "begins with #",
        ),
        "columns of blanks": (
            lambda: np.savetxt("e.csv", VALUES, fmt="%8.3f"),
            "e.csv",
            r"several blanks apart; .*delimiter=','",
        ),
        "decimal commas": (
            lambda: pd.DataFrame(VALUES).to_csv("e.csv", sep=";", decimal=",", header=False),
            "e.csv",
            "decimal commas",
        ),
        "two of a name": (
            lambda: Path("e.csv").write_text("e0,e1,e1,e2\n" + rows),
            "e.csv",
            'two columns "e1"',
        ),
        "names alone": (
            lambda: Path("e.csv").write_text("image_id,label\na,b\n"),
            "e.csv",
            "no column of numbers",
        ),
        "nothing": (lambda: Path("e.csv").touch(), "e.csv", "first line is empty"),
        "bytes": (lambda: Path("e.csv").write_bytes(b"\xff\xfe1"), "e.csv", "not UTF-8"),
        "not there": (lambda: None, "e.npy", "there is no such file; embeddings are expected"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_cannot_be_embeddings_is_refused_by_its_name(here: Path, case: str) -> None:
    write, name, why = refusals()[case]
    write()
    Path("l.json").write_text(json.dumps(LABELS))
    with pytest.raises(LookalikeError, match=rf"(?s)^{name}: .*{why}"):
        embeddings_given(Path(name), Path("l.json"), OPTION)


def test_labels_are_as_many_as_rows_given_once_and_there(here: Path) -> None:
    np.save("e.npy", VALUES)
    with pytest.raises(LookalikeError, match=r"^e\.npy: there are no labels.*--query-labels"):
        given("e.npy")
    with pytest.raises(LookalikeError, match=r"^l\.csv: there is no such file; --query-labels"):
        given("e.npy", "l.csv")
    Path("l.csv").write_text("label\n" + "a\n" * 5)
    with pytest.raises(LookalikeError, match=r"^l\.csv: has 5 labels, and e\.npy 6 rows; .*order"):
        given("e.npy", "l.csv")
    Path("e.csv").write_text("label,e0\n" + "a,1\n" * 5)
    with pytest.raises(LookalikeError, match=r"^l\.csv: column 'label' is in e\.csv too"):
        given("e.csv", "l.csv")
    pq.write_table(pa.table({"label": LABELS}), "e.parquet")
    with pytest.raises(LookalikeError, match=r"^--query-labels: e\.parquet is parquet"):
        given("e.parquet", "l.csv")


def evaluated(out: str, *arguments: str) -> list[bytes]:
    assert main(["evaluate", *arguments, "--out", out, "--score", "cosine", "--k", "1,3"]) == 0
    return [(Path(out) / name).read_bytes() for name in OUTPUTS]


@pytest.mark.parametrize("kind", ["npy", "csv"])
def test_arrays_and_a_table_of_the_same_numbers_give_the_same_bytes(here: Path, kind: str) -> None:
    for split, ids in (("query", IDS), ("gallery", [f"g{name}" for name in IDS])):
        columns = {"image_id": ids, "label": LABELS, "camera": ["x", "y"] * 3}
        pd.DataFrame(columns).to_csv(f"{split}_l.csv", index=False)
        pq.write_table(
            pa.table({**columns, "embedding": list(VALUES.astype(np.float64))}), f"{split}.parquet"
        )
        WRITERS["e.npy" if kind == "npy" else "savetxt.csv"](Path(f"{split}.{kind}"))
    within = ["--within", "camera"]
    labels = ["--query-labels", "query_l.csv", "--gallery-labels", "gallery_l.csv"]
    assert evaluated("a", f"query.{kind}", f"gallery.{kind}", *labels, *within) == evaluated(
        "b", "query.parquet", "gallery.parquet", *within
    )


def test_rows_without_names_are_another_tables_rows(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("l.npy", LABELS)
    for folder in ("q", "g"):
        Path(folder).mkdir()
        np.save(f"{folder}/e.npy", VALUES)
    labels = ["--query-labels", "l.npy", "--gallery-labels", "l.npy"]
    evaluated("a", "q/e.npy", "g/e.npy", *labels)
    assert "have the image_id of a gallery item" not in capsys.readouterr().err
    # One file searched in itself: each row is the same image, and can be left out.
    evaluated("b", "q/e.npy", "q/e.npy", *labels, "--exclude", "same_id")
    first = pq.read_table("b/rankings.parquet").to_pylist()
    assert len(first) and all(row["query_id"] != row["gallery_id"] for row in first)


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent.parquet", "g.parquet", "--out", "o"],
        ["g.parquet", "absent.npy", "--out", "o"],
        ["g.parquet", "text.parquet", "--out", "o"],
        ["g.parquet", "g.parquet", "--out", "text.parquet"],
        ["e.npy", "g.parquet", "--query-labels", "absent.csv", "--out", "o"],
    ],
    ids=" ".join,
)
def test_a_wrong_path_is_told_before_torch_is_loaded(here: Path, arguments: list[str]) -> None:
    np.save("e.npy", VALUES)
    Path("text.parquet").write_text("a,b\n1,2\n")
    pq.write_table(pa.table({"image_id": IDS, "label": LABELS, "embedding": list(VALUES)}), "g.pq")
    Path("g.pq").rename("g.parquet")
    program = (
        "import sys\n"
        "from lookalike.cli import main\n"
        "try:\n"
        f"    main(['evaluate', *{arguments!r}])\n"
        "except SystemExit as stopped:\n"
        "    print(stopped.code, *sys.modules.keys() & {'torch', 'pandas', 'numba'})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("### From arrays and data frames") :].partition("\n## ")[0]
SNIPPETS = re.findall(r"^From (\w+).*?^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


def test_there_is_a_snippet_for_each_library() -> None:
    assert [name for name, _ in SNIPPETS] == ["NumPy", "pandas", "polars"]


@pytest.mark.parametrize(("library", "code"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_the_snippets_of_the_docs_write_the_table(here: Path, library: str, code: str) -> None:
    names, labels, values = ["a.jpg", "b.jpg", "c.jpg"], ["mug", "mug", "bowl"], VALUES[:3]
    np.save("embeddings.npy", values)
    frame = pd.DataFrame(values, columns=[f"e{place}" for place in range(4)])
    frame.insert(0, "label", labels)
    frame.insert(0, "image_id", names)
    frame.to_csv("embeddings.csv", index=False)
    exec(compile(code, library, "exec"), {})
    made = evaluate("query.parquet", "query.parquet", k=[1], score="cosine", exclude="same_id")
    right = evaluate(
        *[{"image_id": names, "label": labels, "embedding": values}] * 2,
        k=[1],
        score="cosine",
        exclude="same_id",
    )
    assert made.summary["metrics"] == right.summary["metrics"]
    assert made.per_query.equals(right.per_query)
    assert made.rankings.equals(right.rankings)
