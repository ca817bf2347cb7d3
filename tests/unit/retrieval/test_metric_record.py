"""That a metric is one record: what is written of it anywhere comes from there."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from lookalike.report.differences import judge
from lookalike.report.glossary import explain
from lookalike.report.numbers import number
from lookalike.retrieval import metrics, ranks
from lookalike.retrieval.arrays import Values
from lookalike.retrieval.metric_record import Metric
from lookalike.retrieval.metrics import METRICS, metric_of, metrics_at, per_query_metrics
from lookalike.retrieval.ranks import Ranks
from support import metrics_page
from support.report_folder import make_folder

KS = [1, 5, 10]


@pytest.mark.parametrize("module", [metrics, ranks], ids=lambda module: module.__name__)
def test_examples_in_docstrings_come_out(module: ModuleType) -> None:
    assert doctest.testmod(module) == doctest.TestResults(0, doctest_count(module))


def doctest_count(module: ModuleType) -> int:
    found = sum(len(test.examples) for test in doctest.DocTestFinder().find(module))
    assert found > 0
    return found


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_every_metric_has_a_small_example(metric: Metric) -> None:
    assert f">>> {metric.per_query.__name__}(" in (metric.per_query.__doc__ or "")


def test_the_tables_of_the_docs_are_those_of_the_records() -> None:
    text = metrics_page.PAGE.read_text(encoding="utf-8")
    assert metrics_page.page(text) == text, "run make docs"


@pytest.mark.parametrize("k", [1, 10, 2**53])
def test_every_key_leads_back_to_its_record(k: int) -> None:
    for metric in METRICS:
        assert metric_of(metric.key.format(k=k)) == (metric, k if metric.has_cut_offs else 0)


@pytest.mark.parametrize(
    "key",
    ["", "map", "mAP@", "mAP@k", "mAP@{k}", "mAP@-1", "mAP@1.5", "mAP@10_low", "mAP@10/r", "MRR ",
     "mAP@10/R\n", "xmAP@10"],
)  # fmt: skip
def test_what_no_metric_is_called_has_no_record(key: str) -> None:
    assert metric_of(key) is None
    assert explain(key) == ""


def discounted_gain(ranks: Ranks, k: int) -> Values:
    """nDCG@k of items that are relevant or not (Järvelin and Kekäläinen, 2002)."""
    gain = ranks.sums(np.where(ranks.values <= k, 1 / np.log2(ranks.values + 1.0), 0.0))
    ideal: Values = np.array([ideal_gain(r, k) for r in ranks.counts.tolist()])
    return gain / ideal


def ideal_gain(r: int, k: int) -> float:
    return float(np.sum(1 / np.log2(np.arange(1, min(r, k) + 1) + 1.0)))


def share_searched(ranks: Ranks, n_gallery: NDArray[np.int64]) -> Values:
    """Share of the gallery to look through for all relevant items."""
    last: Values = ranks.values[ranks.starts[1:] - 1].astype(np.float64)
    return last / n_gallery


NEW = [
    Metric(
        "nDCG@{k}",
        discounted_gain,
        None,
        formula="DCG(k) / ideal DCG(k)",
        chance_formula="",
        sentence="Gain in the first {k} places, later ones less.",
    ),
    Metric(
        "searched",
        share_searched,
        lambda g, r: r * (g + 1) / (r + 1) / g,  # the last of R: E = R (G + 1) / (R + 1)
        formula="rank of the last relevant item / G",
        chance_formula="R (G + 1) / ((R + 1) G)",
        sentence="Share of the gallery before all right images are found: less is better.",
        less_is_better=True,
        headline=True,
    ),
]


@pytest.fixture
def more_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.retrieval.metrics.METRICS", (*METRICS, *NEW))


@pytest.mark.usefixtures("more_metrics")
def test_a_new_metric_is_one_record(tmp_path: Path) -> None:
    """In files, comparison, page, docs and words, with nothing but its record."""
    counts = dict.fromkeys(["cat & dog", "plain"], 8)
    made = make_folder(tmp_path, counts, {**counts, "rare": 2}, bootstrap=1000)
    page = made.write()
    summary = json.loads((tmp_path / "results/default.0/metrics.json").read_text())
    keys = ["nDCG@1", "nDCG@5", "nDCG@10", "searched"]
    assert [key for key in summary["metrics"] if key in keys] == ["searched", *keys[:3]]
    assert list(summary["ci95"]) == list(summary["chance"]) == list(summary["metrics"])
    assert "searched" in summary["ties"]["optimistic"]

    rankings = made.table("rankings.parquet")
    hits = np.stack([group["relevant"].to_numpy() for _, group in rankings.groupby("query_id")])
    assert hits.shape == (16, 10)
    per_query = made.table("per_query.parquet").set_index("query_id").sort_index()
    for k in KS:  # with all the places that are known; 8 are relevant of 18
        rest = np.zeros((16, 8), bool)
        for row, more in enumerate(8 - hits.sum(1)):
            rest[row, :more] = True
        whole = np.concatenate([hits, rest], axis=1)
        scores = np.tile(-np.arange(18.0), (16, 1))
        expected = ndcg_score(whole, scores, k=k)
        assert summary["metrics"][f"nDCG@{k}"] == pytest.approx(expected)
        assert per_query[f"nDCG@{k}"].mean() == pytest.approx(expected)

    # Its chance is estimated: the exact one is the gain of every place, 8 / 18 of it.
    assert list(summary["chance_error"]) == keys[:3]
    for k in KS:
        exact = 8 / 18 * ideal_gain(k, k) / ideal_gain(8, k)
        error = summary["chance_error"][f"nDCG@{k}"]
        assert abs(summary["chance"][f"nDCG@{k}"] - exact) < 4 * error < 0.03
    assert summary["chance"]["searched"] == pytest.approx(8 * 19 / 9 / 18)

    columns = pd.read_csv(tmp_path / "results/comparison.csv").columns
    for key in keys:
        assert {key, f"{key}_low", f"{key}_high", f"{key}_chance"} <= set(columns)
    assert "Share of the gallery before all right images are found: less is better." in page
    assert explain("nDCG@7") == "Gain in the first 7 places, later ones less."
    assert "| `nDCG@k` | DCG(k) / ideal DCG(k) | Gain" in metrics_page.metrics_table()
    assert "| `nDCG@k` | estimated by simulation |" in metrics_page.chance_table()


@pytest.mark.usefixtures("more_metrics")
def test_where_less_is_better_less_is_called_better() -> None:
    values = np.random.default_rng(0).random(40)
    low, high = (
        pd.DataFrame({"label": "a", "searched": values + shift, "nDCG@5": values + shift})
        for shift in (0, 0.5)
    )
    protocol = {"bootstrap": 1000, "bootstrap_unit": "query", "seed": 0}
    found = judge(low, high, ["searched", "nDCG@5"], protocol)
    assert {key: judged.verdict for key, judged in found.items()} == {
        "searched": "better",
        "nDCG@5": "worse",
    }
    assert number("searched", 0.12345) == "0.123"  # a share, though less is better


@pytest.mark.usefixtures("more_metrics")
def test_nothing_found_is_the_worst_value() -> None:
    values = per_query_metrics(Ranks.of_each([[], [2]]), np.array([9, 4]), [5])
    assert {key: values[key].tolist() for key in ("searched", "nDCG@5", "mean_rank")} == {
        "searched": [1, 0.5],
        "nDCG@5": [0, 1 / np.log2(3)],
        "mean_rank": [10, 2],
    }
    assert list(values) == list(metrics_at([5]))


def test_a_record_whose_key_and_function_disagree_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nDCG: its function takes k if, and only if"):
        Metric("nDCG", discounted_gain, None, formula="", chance_formula="", sentence="")
    with pytest.raises(ValueError, match=r"part@\{k\}: its function takes k if, and only if"):
        Metric("part@{k}", share_searched, None, formula="", chance_formula="", sentence="")
    with pytest.raises(ValueError, match=r"part: of a headline runs are compared query by query"):
        Metric(
            "part",
            share_searched,
            None,
            formula="",
            chance_formula="",
            sentence="",
            headline=True,
            over_queries="median",
        )
