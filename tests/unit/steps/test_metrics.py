from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from lookalike.data.labels import read_labels
from lookalike.data.links import resolved_files
from lookalike.embedding.tables import write_embeddings
from lookalike.errors import LookalikeError
from lookalike.retrieval.chance import chance
from lookalike.retrieval.evaluation import summary_text
from lookalike.retrieval.metrics import metrics_at
from lookalike.retrieval.output_place import OUTPUTS
from lookalike.retrieval.scores import normalised
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from support import brute_force

KS = [1, 10, 50]


def table(
    path: Path,
    vectors: NDArray[Any],
    labels: list[str],
    name: str,
    metadata: dict[str, Any] | None = None,
    order: NDArray[np.int64] | None = None,
    sha256s: list[str] | None = None,
) -> Path:
    """Write an embeddings table whose rows stand in `order`."""
    rows = range(len(labels)) if order is None else order.tolist()
    write_embeddings(
        path,
        [f"{name}{i}" for i in rows],
        [labels[i] for i in rows],
        [(sha256s or [f"{name}{i}" for i in range(len(labels))])[i] for i in rows],
        vectors.astype(np.float32)[list(rows)],
        metadata or {},
    )
    return path


def clusters(n: int, seed: int, classes: int = 6) -> tuple[NDArray[np.float32], list[str]]:
    """Unit vectors around one direction a class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=n)
    centres = np.random.default_rng(99).normal(size=(classes, 16))
    vectors = centres[labels] * 0.6 + generator.normal(size=(n, 16))
    return normalised(vectors.astype(np.float32)), [f"class {label}" for label in labels]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    query = table(folder / "query.parquet", *clusters(40, seed=1), "q")
    return query, table(folder / "gallery.parquet", *clusters(300, seed=2), "g")


def run(query: Path, gallery: Path, out: Path, **changed: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "k": KS,
        "no_relevant": "skip",
        "exclude": "none",
        "bootstrap": 0,
        "bootstrap_unit": "query",
    }
    settings |= changed
    apart = {
        name: settings.pop(name)
        for name in ("score", "query_folder", "gallery_folder")
        if name in settings
    }
    return evaluate_files(query, gallery, out, MetricsSettings(**settings), **apart)


def test_files_hold_what_a_loop_over_the_tables_finds(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    summary = run(*pair, tmp_path, bootstrap=1000)
    query, gallery = (pd.read_parquet(path) for path in pair)
    vectors = np.stack(list(gallery["embedding"])).astype(np.float64)
    values, places = [], []
    for row in query.itertuples():
        scores = vectors @ np.array(row.embedding, dtype=np.float64)
        order = brute_force.ordered(scores.tolist(), gallery["image_id"].tolist())
        hits = [gallery["label"][i] == row.label for i in order]
        values.append(brute_force.metrics(hits, KS))
        places += [
            (row.image_id, rank, gallery["image_id"][i], hits[rank - 1])
            for rank, i in enumerate(order[:50], start=1)
        ]
    assert json.loads((tmp_path / "metrics.json").read_text()) == summary
    assert list(summary["metrics"]) == list(metrics_at(KS))
    per_query = pd.read_parquet(tmp_path / "per_query.parquet")
    assert per_query["query_id"].tolist() == query["image_id"].tolist()
    assert per_query["label"].tolist() == query["label"].tolist()
    assert per_query["scored"].all()
    assert per_query["first_rank"].tolist() == per_query["mean_rank"].tolist()
    for key in metrics_at(KS):
        column = [value[key] for value in values]
        expected = np.median(column) if key == "median_rank" else np.mean(column)
        assert summary["metrics"][key] == pytest.approx(expected)
        if key != "median_rank":
            assert per_query[key].tolist() == pytest.approx(column)
            low, high = summary["ci95"][key]
            assert low <= summary["metrics"][key] <= high
    counts = gallery["label"].value_counts()
    assert per_query["n_relevant"].tolist() == counts[query["label"]].tolist()
    assert per_query["n_gallery"].tolist() == [300] * 40
    by_chance = chance(per_query["n_gallery"].to_numpy(), per_query["n_relevant"].to_numpy(), KS)
    assert summary["chance"] == by_chance.values
    assert "chance_error" not in summary  # every one is exact
    rankings = pd.read_parquet(tmp_path / "rankings.parquet")
    assert rankings.columns.tolist() == ["query_id", "rank", "gallery_id", "score", "relevant"]
    found = rankings[["query_id", "rank", "gallery_id", "relevant"]]
    assert list(found.itertuples(index=False, name=None)) == places
    counted = {key: summary[key] for key in summary if key.startswith("n_")}
    assert counted == {
        "n_queries": 40,
        "n_gallery": 300,
        "n_skipped_queries": 0,
        "n_queries_without_relevant": 0,
    }
    assert summary["score"] == "cosine"


def test_equal_input_gives_equal_bytes(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    for name in ("a", "b"):
        run(*pair, tmp_path / name, bootstrap=1000)
    for name in OUTPUTS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("rows", [1, 7, 64, 10_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_layout_of_the_files_changes_no_byte(
    tmp_path: Path, pair: tuple[Path, Path], rows: int, threads: int
) -> None:
    run(*pair, tmp_path / "as written", bootstrap=1000)
    paths = []
    for path in pair:
        paths.append(tmp_path / path.name)
        pq.write_table(pq.read_table(path), paths[-1], row_group_size=rows, compression="snappy")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run(paths[0], paths[1], tmp_path / "other", bootstrap=1000)
    finally:
        torch.set_num_threads(before)
    for name in OUTPUTS:
        written = (tmp_path / "as written" / name).read_bytes()
        assert written == (tmp_path / "other" / name).read_bytes()


def test_a_cut_off_beyond_the_gallery_costs_nothing(tmp_path: Path) -> None:
    path = unit(tmp_path / "x.parquet")
    summary = run(path, path, tmp_path, k=[1, 10**12])
    assert summary["metrics"][f"recall@{10**12}"] == 1
    assert len(pd.read_parquet(tmp_path / "rankings.parquet")) == 9


def test_all_bad_embeddings_are_counted_before_a_score_is_asked_for(tmp_path: Path) -> None:
    query = table(tmp_path / "q.parquet", np.eye(3) * 2, list("abc"), "q")
    vectors = np.ones((9000, 3))
    vectors[1000::2] = np.nan
    gallery = table(tmp_path / "g.parquet", vectors, ["a"] * 9000, "g")
    for score in (None, "cosine"):
        with pytest.raises(LookalikeError, match=r"4000 image\(s\).*: g1000, g1002"):
            run(query, gallery, tmp_path / "out", score=score)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_row_order_changes_no_number(tmp_path: Path, score: str) -> None:
    generator = np.random.default_rng(0)
    numbers = []
    for name in ("straight", "shuffled"):
        paths: list[Path] = []
        for side, n, seed in (("q", 40, 1), ("g", 300, 2)):
            vectors, labels = clusters(n, seed=seed)
            order = generator.permutation(n) if name == "shuffled" else None
            path = tmp_path / f"{name}.{side}.parquet"
            # Rounded, so that many are equal and ties decide.
            paths.append(table(path, np.round(2 * vectors[:, :4]), labels, side, order=order))
        out = tmp_path / name
        summary = run(paths[0], paths[1], out, score=score, bootstrap=1000, bootstrap_unit="class")
        assert summary["ties"]["share"] > 0.5
        rows = pd.read_parquet(out / "per_query.parquet").sort_values("query_id")
        places = pd.read_parquet(out / "rankings.parquet").sort_values(["query_id", "rank"])
        numbers.append(
            [
                (out / "metrics.json").read_text(),
                rows.to_csv(index=False),
                places.to_csv(index=False),
            ]
        )
    assert numbers[0] == numbers[1]


def test_collapsed_embeddings_are_chance_and_all_ties(tmp_path: Path) -> None:
    labels = [str(i % 15) for i in range(750)]
    query = table(tmp_path / "q.parquet", np.ones((150, 8)), labels[:150], "q")
    gallery = table(tmp_path / "g.parquet", np.ones((750, 8)), labels, "g")
    summary = run(query, gallery, tmp_path, score="cosine")
    # One constant ranking: exactly one of 15 classes is first.
    assert summary["metrics"]["mAP@1"] == pytest.approx(1 / 15)
    assert summary["chance"]["mAP@1"] == pytest.approx(1 / 15)
    # Every class once: the first ranks of all classes under one order of the ids.
    order = brute_force.ordered([0.0] * 750, [f"g{i}" for i in range(750)])
    ranked = [labels[i] for i in order]
    first = [ranked.index(str(label)) + 1 for label in range(15)]
    assert summary["metrics"]["mean_rank"] == pytest.approx(np.mean(first))
    ties = summary["ties"]
    assert ties["share"] == 1
    assert ties["optimistic"] == {"mAP@1": 1, "mAP@10": 1, "mAP@50": 1, "mean_rank": 1}
    assert ties["pessimistic"] == {"mAP@1": 0, "mAP@10": 0, "mAP@50": 0, "mean_rank": 701}


def test_ties_beyond_the_headline_do_not_matter(tmp_path: Path) -> None:
    query = table(tmp_path / "q.parquet", np.zeros((1, 1)), ["a"], "q")
    gallery = table(tmp_path / "g.parquet", np.array([[1], [2], [3], [3]]), list("abab"), "g")
    near = run(query, gallery, tmp_path, score="euclidean", k=[1, 2])
    assert near["ties"]["share"] == 0
    far = run(query, gallery, tmp_path, score="euclidean", k=[1, 3])
    assert far["ties"]["share"] == 1
    assert far["ties"]["optimistic"]["mAP@3"] == pytest.approx((1 + 2 / 3) / 2)
    assert far["ties"]["pessimistic"]["mAP@3"] == pytest.approx(1 / 2)


@pytest.fixture
def lonely(tmp_path: Path) -> tuple[Path, Path]:
    """Three queries, the gallery lacks the label of the second."""
    query = table(tmp_path / "q.parquet", np.eye(3), ["a", "none", "b"], "q")
    return query, table(tmp_path / "g.parquet", np.eye(3), ["a", "b", "b"], "g")


def test_no_relevant_skip(tmp_path: Path, lonely: tuple[Path, Path]) -> None:
    summary = run(*lonely, tmp_path, no_relevant="skip")
    assert (summary["n_queries"], summary["n_skipped_queries"]) == (2, 1)
    assert summary["n_queries_without_relevant"] == 1
    assert summary["metrics"]["mAP@1"] == 1
    rows = pq.read_table(tmp_path / "per_query.parquet").to_pylist()
    assert [row["scored"] for row in rows] == [True, False, True]
    assert {rows[1][key] for key in ("first_rank", "mAP@1", "mean_rank")} == {None}
    assert rows[1]["n_relevant"] == 0
    assert len(pd.read_parquet(tmp_path / "rankings.parquet")) == 9


def test_no_relevant_zero(tmp_path: Path, lonely: tuple[Path, Path]) -> None:
    summary = run(*lonely, tmp_path, no_relevant="zero")
    assert (summary["n_queries"], summary["n_skipped_queries"]) == (3, 0)
    assert summary["n_queries_without_relevant"] == 1
    assert summary["metrics"]["mAP@1"] == pytest.approx(2 / 3)
    assert summary["metrics"]["mean_rank"] == pytest.approx((1 + 4 + 1) / 3)
    # The query that must fail fails by chance too.
    assert summary["chance"]["mAP@1"] == pytest.approx((1 / 3 + 0 + 2 / 3) / 3)
    assert summary["chance"]["mean_rank"] == pytest.approx((4 / 2 + 4 + 4 / 3) / 3)


def test_no_relevant_error(tmp_path: Path, lonely: tuple[Path, Path]) -> None:
    with pytest.raises(LookalikeError, match=r'1 of 3 queries.*q1 \("none"\)'):
        run(*lonely, tmp_path / "out", no_relevant="error")
    assert not (tmp_path / "out").exists()


def test_no_query_to_score_is_an_error(tmp_path: Path) -> None:
    query = table(tmp_path / "q.parquet", np.eye(3), ["x", "y", "z"], "q")
    gallery = table(tmp_path / "g.parquet", np.eye(3), ["a", "b", "b"], "g")
    with pytest.raises(LookalikeError, match="none of the 3 queries can be scored"):
        run(query, gallery, tmp_path)


def leave_one_out(vectors: NDArray[np.float32], labels: list[str]) -> float:
    """MAP@10 where each item is searched among all others."""
    values = []
    for i, label in enumerate(labels):
        others = [j for j in range(len(labels)) if j != i]
        scores = [float(vectors[i].astype(float) @ vectors[j].astype(float)) for j in others]
        order = brute_force.ordered(scores, [f"x{j}" for j in others])
        values.append(brute_force.metrics([labels[others[j]] == label for j in order], [10]))
    return math.fsum(value["mAP@10"] for value in values) / len(values)


@pytest.mark.parametrize("exclude", ["same_file", "same_content", "same_id"])
def test_a_folder_searched_in_itself_leaves_each_query_out(tmp_path: Path, exclude: str) -> None:
    vectors, labels = clusters(50, seed=3, classes=3)
    path = table(tmp_path / "x.parquet", vectors, labels, "x")
    summary = run(
        path, path, tmp_path, exclude=exclude, query_folder=tmp_path, gallery_folder=tmp_path
    )
    assert summary["metrics"]["mAP@10"] == pytest.approx(leave_one_out(vectors, labels))
    assert set(pd.read_parquet(tmp_path / "per_query.parquet")["n_gallery"]) == {49}
    rankings = pd.read_parquet(tmp_path / "rankings.parquet")
    assert not (rankings["query_id"] == rankings["gallery_id"]).any()
    assert summary["settings"]["exclude"] == exclude


def test_same_file_follows_links_and_keeps_two_files_of_one_name(tmp_path: Path) -> None:
    for name in ("gallery/x0", "gallery/x1", "gallery/inside/x2", "query/x1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("image")
    (tmp_path / "query" / "x0").symlink_to(tmp_path / "gallery" / "x0")
    (tmp_path / "query" / "linked").symlink_to(tmp_path / "gallery" / "inside")
    (tmp_path / "by_link").symlink_to(tmp_path / "gallery")
    query = resolved_files(tmp_path / "query", ["x0", "x1", "linked/x2"])
    gallery = resolved_files(tmp_path / "gallery", ["x0", "x1", "inside/x2"])
    assert [a == b for a, b in zip(query, gallery, strict=True)] == [True, False, True]
    assert resolved_files(tmp_path / "by_link", ["x0", "x1", "inside/x2"]) == gallery
    path = table(tmp_path / "x.parquet", np.eye(2), ["a", "a"], "x")
    folders = {"query_folder": tmp_path / "query", "gallery_folder": tmp_path / "by_link"}
    run(path, path, tmp_path, exclude="same_file", **folders)
    assert pd.read_parquet(tmp_path / "per_query.parquet")["n_gallery"].tolist() == [1, 2]


def test_queries_that_find_themselves_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = unit(tmp_path / "x.parquet")
    run(path, path, tmp_path)
    assert "3 of 3 queries have the image_id of a gallery item" in caplog.text
    caplog.clear()
    run(path, path, tmp_path, exclude="same_id", no_relevant="zero")
    run(table(tmp_path / "y.parquet", np.eye(3), list("abc"), "y"), path, tmp_path)
    assert "--exclude" not in caplog.text


def test_same_content_leaves_every_copy_out(tmp_path: Path) -> None:
    query = table(tmp_path / "q.parquet", np.eye(2), ["a", "a"], "q", sha256s=["s", "t"])
    gallery = table(
        tmp_path / "g.parquet", np.ones((4, 2)), ["a"] * 4, "g", sha256s=["s", "s", "u", "v"]
    )
    run(query, gallery, tmp_path, exclude="same_content", score="cosine")
    assert pd.read_parquet(tmp_path / "per_query.parquet")["n_gallery"].tolist() == [2, 4]


def unit(path: Path, **metadata: Any) -> Path:
    return table(path, np.eye(3), ["a", "b", "c"], "x", metadata)


def test_the_score_is_what_both_tables_state(tmp_path: Path) -> None:
    first = unit(tmp_path / "a.parquet", score="euclidean", model_digest="m")
    second = unit(tmp_path / "b.parquet", score="euclidean", model_digest="m")
    assert run(first, second, tmp_path)["score"] == "euclidean"
    assert run(first, second, tmp_path, score="cosine")["score"] == "cosine"
    silent = unit(tmp_path / "c.parquet")
    assert run(first, silent, tmp_path)["score"] == "cosine"


def test_a_score_that_cannot_be_told_must_be_said(tmp_path: Path) -> None:
    path = table(tmp_path / "long.parquet", np.eye(3) * 1.01, ["a", "b", "c"], "x")
    with pytest.raises(LookalikeError, match="--score"):
        run(path, path, tmp_path)
    nearly = table(tmp_path / "unit.parquet", np.eye(3) * 1.0005, ["a", "b", "c"], "x")
    assert run(nearly, nearly, tmp_path)["score"] == "cosine"


@pytest.mark.parametrize("key", ["model_digest", "score"])
def test_tables_of_two_models_are_not_compared(tmp_path: Path, key: str) -> None:
    same = {"model_digest": "m", "score": "cosine"}
    first = unit(tmp_path / "a.parquet", **same)
    second = unit(tmp_path / "b.parquet", **(same | {key: "euclidean"}))
    with pytest.raises(LookalikeError, match="not made for one another"):
        run(first, second, tmp_path, score="cosine")


def broken_tables() -> dict[str, tuple[Callable[[Path], Path], str]]:
    nan = np.eye(3)
    nan[1, 2] = np.nan
    huge = pa.table({"image_id": ["a"], "label": ["a"], "embedding": [[1e300, 0.0, 0.0]]})
    twice = pa.table(
        {"image_id": ["a", "a"], "label": ["a", "b"], "embedding": [[1.0, 0.0, 0.0]] * 2}
    )

    def written(what: pa.Table) -> Callable[[Path], Path]:
        return lambda path: (pq.write_table(what, path), path)[1]

    return {
        "not finite": (lambda path: table(path, nan, ["a", "b", "c"], "x"), r"1 image.*x1\b"),
        "beyond float32": (written(huge), r"1 image.*\ba\b"),
        "id twice": (written(twice), '"a" is there twice'),
        "empty": (lambda path: table(path, np.empty((0, 3)), [], "x"), "no rows"),
        "other width": (lambda path: table(path, np.eye(4), list("abcd"), "x"), "of 3.* of 4"),
    }


@pytest.mark.parametrize("name", broken_tables())
def test_a_broken_gallery_is_named(tmp_path: Path, name: str) -> None:
    make, message = broken_tables()[name]
    query, gallery = unit(tmp_path / "query.parquet"), make(tmp_path / "broken.parquet")
    with pytest.raises(LookalikeError, match=message) as error:
        run(query, gallery, tmp_path / "out")
    assert "broken.parquet" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"k": [0, 1]}, "whole numbers from 1"),
        ({"k": []}, "whole numbers from 1"),
        ({"bootstrap": 10}, "1000 or more"),
        ({"bootstrap": -1}, "1000 or more"),
        ({"no_relevant": "ignore"}, "skip, zero, error"),
        ({"exclude": "self"}, "same_content"),
        ({"bootstrap_unit": "label"}, "query, class"),
        ({"score": "dot"}, "cosine, euclidean"),
        ({"exclude": "same_file"}, "folders"),
    ],
)
def test_a_wrong_setting_says_what_is_right(
    tmp_path: Path, setting: dict[str, Any], message: str
) -> None:
    path = unit(tmp_path / "x.parquet")
    with pytest.raises(LookalikeError, match=message):
        run(path, path, tmp_path / "out", **setting)


def test_same_content_needs_digests(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image_id": ["a"], "label": ["a"], "embedding": [[1.0]]}), path)
    with pytest.raises(LookalikeError, match="no column 'sha256'"):
        run(path, path, tmp_path / "out", exclude="same_content")


def test_k_is_kept_once_and_ascending(tmp_path: Path) -> None:
    path = unit(tmp_path / "x.parquet")
    summary = run(path, path, tmp_path, k=[5, 1, 5])
    assert summary["settings"]["k"] == [1, 5]
    assert list(summary["metrics"]) == list(metrics_at([1, 5]))
    assert summary["ci95"] == {}


def test_the_table_to_read_shows_value_chance_and_interval(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    summary = run(*pair, tmp_path, bootstrap=1000)
    lines = summary_text(summary).splitlines()
    row = next(line for line in lines if line.startswith("mAP@10 ")).split()
    low, high = summary["ci95"]["mAP@10"]
    assert row[1:] == [
        f"{summary['metrics']['mAP@10']:.4f}",
        f"{summary['chance']['mAP@10']:.4f}",
        f"{low:.4f}",
        "to",
        f"{high:.4f}",
    ]
    assert not any("equal scores" in line for line in lines)
    summary["ties"]["share"] = 0.25
    assert "equal scores decide 25.0% of the queries" in summary_text(summary)


def full_disk(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    def save(path: Path, text: str) -> None:
        path.write_text(text[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lookalike.steps.metrics.save_text", save)


def full_when_it_is_renamed(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    replace, failed = Path.replace, list[Path]()

    def fail(self: Path, target: Path) -> Path:
        if Path(target).name == "metrics.json" and not failed:
            failed.append(self)
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)


def interrupted(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    replace, failed = Path.replace, list[Path]()

    def fail(self: Path, target: Path) -> Path:
        done = replace(self, target)
        if Path(target).name == "rankings.parquet" and not failed:
            failed.append(self)
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Path, "replace", fail)


def a_folder_of_that_name(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    (out / "metrics.json").unlink(missing_ok=True)
    (out / "metrics.json").mkdir(parents=True)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    "fail", [full_disk, full_when_it_is_renamed, interrupted, a_folder_of_that_name]
)
def test_all_files_are_written_or_none(
    tmp_path: Path,
    pair: tuple[Path, Path],
    fail: Callable[[pytest.MonkeyPatch, Path], None],
    before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    if before:
        run(*pair, out, k=[3])
    fail(monkeypatch, out)
    there = {path.name: path.is_file() and path.read_bytes() for path in out.glob("*")}
    with pytest.raises((LookalikeError, KeyboardInterrupt)) as error:
        run(*pair, out)
    assert error.type is KeyboardInterrupt or str(out) in str(error.value)
    # Nothing of the new ones, all of the old ones, and nothing half written beside them.
    assert {path.name: path.is_file() and path.read_bytes() for path in out.iterdir()} == there


def test_results_never_take_the_place_of_a_table(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    table = tmp_path / "rankings.parquet"
    table.write_bytes(pair[0].read_bytes())
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "0.parquet").write_bytes(pair[0].read_bytes())
    for query, out in ((table, tmp_path), (tmp_path / "parts", tmp_path / "parts" / "new")):
        with pytest.raises(LookalikeError, match="would be overwritten, or written into"):
            run(query, pair[1], out)
    assert table.read_bytes() == pair[0].read_bytes()


def foreign(path: Path, vectors: NDArray[Any], **changed: Any) -> Path:
    """A table by somebody else, in the type of the numbers given."""
    n = len(vectors)
    kind = pa.from_numpy_dtype(vectors.dtype)
    columns = {
        "image_id": [f"{path.stem}{i}" for i in range(n)],
        "label": [str(i % 3) for i in range(n)],
        "embedding": pa.array(vectors.tolist(), pa.list_(kind)),
    }
    pq.write_table(pa.table(columns | changed), path)
    return path


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\u200b", "\u3164 \ufeff"])
@pytest.mark.parametrize("column", ["label", "sha256"])
def test_a_label_of_which_nothing_can_be_seen_is_refused(
    tmp_path: Path, blank: str, column: str
) -> None:
    values = {"label": ["a", "b", "c"], "sha256": ["a", "b", "c"]}
    values[column] = ["a", blank, blank]
    query = foreign(tmp_path / "q.parquet", np.eye(3), **values)
    with pytest.raises(
        LookalikeError, match=f'q.parquet: column .{column}. is empty or blank in 2 .*"q1"'
    ):
        run(query, query, tmp_path / "out", exclude="same_content")


def test_the_workflow_and_the_command_refuse_the_same_labels(tmp_path: Path) -> None:
    for text in ("", " ", "\u200b", "a", "\u00e9", "0", "\u2764\ufe0f", "\ufe0f"):
        (tmp_path / "labels.json").write_text(json.dumps({"a.png": text}))
        (entry,) = read_labels(tmp_path / "labels.json").entries
        query = foreign(tmp_path / "q.parquet", np.eye(3), label=[text] * 3)
        try:
            run(query, query, tmp_path / "out")
        except LookalikeError:
            assert entry.status == "unusable_label"
        else:
            assert entry.status == "ok"


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_an_exclusion_that_leaves_out_nothing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = foreign(tmp_path / "q.parquet", np.eye(3), image_id=[1, 2, 3])
    for ids, warned in ((["0001", "0002", "0003"], 1), ([3.0, 4.0, 5.0], 0), (["1", "x", "y"], 0)):
        caplog.clear()
        padded = foreign(tmp_path / "g.parquet", np.eye(3), image_id=ids)
        with caplog.at_level("INFO"):
            run(numbers, padded, tmp_path / "out", exclude="same_id")
        told = [text for text in warnings_in(caplog) if "leaves out nothing" in text]
        assert len(told) == warned
        assert all('"1", "2", "3"' in text and '"0001", "0002", "0003"' in text for text in told)
        assert ("leaves something out for 1 of 3 queries" in caplog.text) == (not warned)


def told_of_rounding(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    query: NDArray[Any],
    gallery: NDArray[Any],
    score: str,
) -> list[int]:
    """The percentages told: of ties, and of changed places."""
    caplog.clear()
    tables = foreign(tmp_path / "q.parquet", query), foreign(tmp_path / "g.parquet", gallery)
    run(*tables, tmp_path / "out", score=score)
    told = [text for text in warnings_in(caplog) if "taken as float32" in text]
    assert len(told) <= 1
    return [int(number) for text in told for number in re.findall(r"(\d+)%", text)]


def test_differences_that_float32_cannot_hold_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(200, 6))
    near = vectors[:30] + generator.normal(size=(30, 6)) * 1e-3
    far = near + 1e9, vectors + 1e9
    assert told_of_rounding(tmp_path, caplog, *far, "euclidean") == [100, 0]
    for score, offset in (("cosine", 1e4), ("euclidean", 1e6)):
        # What is left is the order of a few steps.
        part = near + offset, vectors + offset
        ties, changes = told_of_rounding(tmp_path, caplog, *part, score)
        assert ties + changes > 5
        # As float32 they are the very numbers: nothing is lost.
        rounded = part[0].astype(np.float32), part[1].astype(np.float32)
        assert not told_of_rounding(tmp_path, caplog, *rounded, score)
        for exact in (np.float64, np.float32, np.float16):
            part = near.astype(exact), vectors.astype(exact)
            assert not told_of_rounding(tmp_path, caplog, *part, score)
        # Equal vectors tie by right.
        twice = np.concatenate([vectors, 3 * vectors if score == "cosine" else vectors])
        assert not told_of_rounding(tmp_path, caplog, near, twice, score)
    for scale in (1e-60, 1e-200):
        tiny = near * scale, vectors * scale
        for score in ("cosine", "euclidean"):
            assert told_of_rounding(tmp_path, caplog, *tiny, score) == [100, 0]
    whole = (vectors * 100).astype(np.int8), ((vectors[:, :3] * 1000).astype(np.int64) + 2**40)
    assert not told_of_rounding(tmp_path, caplog, whole[0], whole[0], "euclidean")
    assert told_of_rounding(tmp_path, caplog, whole[1], whole[1], "euclidean")[0] == 100


@pytest.mark.parametrize("offset", [1e4, 1e5, 1e6])
def test_directions_that_float32_cannot_tell_apart_are_told_with_what_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, offset: float
) -> None:
    """The remedy gives the order of the angles, as numbers of twice the digits have it."""
    generator = np.random.default_rng(1)
    part = [offset + generator.normal(size=(60, 8)) * 0.01 for _ in range(2)]
    ties, changes = told_of_rounding(tmp_path, caplog, part[0], part[1], "cosine")
    assert ties + changes > 50
    assert "--score euclidean" in caplog.text
    # Two spellings of one direction are not told apart by digits that float64 has not.
    same = [part[0], np.concatenate([part[1][:1], 3 * part[1][:1], 7 * part[1][:1]])]
    assert not told_of_rounding(tmp_path, caplog, same[0], same[1], "cosine")
    long = [side / np.sqrt(np.square(side).sum(1, keepdims=True)) for side in part]
    mean = long[1].mean(0)
    mended = [side - mean for side in long]
    assert not told_of_rounding(tmp_path, caplog, mended[0], mended[1], "euclidean")
    ranked = pq.read_table(tmp_path / "out" / "rankings.parquet", filters=[("rank", "=", 1)])
    with localcontext() as digits:
        digits.prec = 60
        first = []
        for query in part[0][:10].tolist():
            q = [Decimal(value) for value in query]
            cosines = []
            for item in part[1].tolist():
                g = [Decimal(value) for value in item]
                product = sum(a * b for a, b in zip(q, g, strict=True))
                cosines.append(product / Decimal(sum(a * a for a in g)).sqrt())
            first.append(f"g{cosines.index(max(cosines))}")
    assert ranked["gallery_id"].to_pylist()[:10] == first


def test_whole_numbers_are_ranked_as_the_same_numbers_with_a_point(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).integers(-128, 128, size=(50, 4))
    made = []
    for kind in (np.int8, np.int64, np.float32, np.float64):
        side = foreign(tmp_path / "q.parquet", vectors.astype(kind))
        run(side, side, tmp_path / "out", score="euclidean")
        made.append([(tmp_path / "out" / name).read_bytes() for name in OUTPUTS])
    assert made[0] == made[1] == made[2] == made[3]


def test_a_vector_without_direction_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vectors, _ = clusters(40, seed=1)
    query = foreign(tmp_path / "q.parquet", vectors)
    vectors[7] = 0
    gallery = foreign(tmp_path / "g.parquet", vectors)
    with pytest.raises(LookalikeError, match=r'all have length 1 but 1 of 40: "g7" \(length 0'):
        run(query, gallery, tmp_path / "out")
    assert not warnings_in(caplog)
    run(query, gallery, tmp_path / "out", score="cosine")
    (told,) = warnings_in(caplog)
    assert "g.parquet" in told
    assert "1 image(s) are zero" in told
    assert '"g7"' in told
    caplog.clear()
    run(query, gallery, tmp_path / "out", score="euclidean")
    assert not warnings_in(caplog)


def test_a_score_that_is_none_names_the_table(tmp_path: Path) -> None:
    path = unit(tmp_path / "x.parquet", score="cosjne")
    with pytest.raises(LookalikeError, match=r'x\.parquet: its metadata .*"cosjne".*cosine'):
        run(path, path, tmp_path / "out")
