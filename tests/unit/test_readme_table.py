"""README's table of the demo, as far as it follows from numbers of images alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.readme_table import COLUMNS, ROWS, far_from_stated, stated_scores

GALLERY, RELEVANT = 700, 2


def by_chance(k: int) -> float:
    """The mean of A(k) / min(k, R) over all orders of the gallery."""
    share = RELEVANT / GALLERY
    others = (RELEVANT - 1) / (GALLERY - 1)
    total = sum(share * (1 + (place - 1) * others) / place for place in range(1, k + 1))
    return total / min(k, RELEVANT)


def test_chance_is_what_luck_gives() -> None:
    stated = stated_scores()["chance"]
    for k in (1, 10, 50):
        assert stated[f"mAP@{k}"] == pytest.approx(by_chance(k), abs=0.0005)
    # The best of two places among 700.
    assert stated["mean_rank"] == pytest.approx((GALLERY + 1) / (RELEVANT + 1), abs=0.05)


def test_the_table_orders_chance_untrained_and_trained() -> None:
    chance, untrained, default, before, strong = stated_scores().values()
    for worse, better in ((chance, untrained), (untrained, default), (before, strong)):
        assert all(worse[f"mAP@{k}"] < better[f"mAP@{k}"] for k in (1, 10, 50))
        assert worse["mean_rank"] > better["mean_rank"]


def write_comparison(path: Path, change: dict[str, float]) -> None:
    """A comparison that has what README states, but for some of `default`'s trained scores."""
    rows: dict[tuple[str, str], dict[str, float | str]] = {}
    for row, scores in stated_scores().items():
        run, state, ending = ROWS[row]
        of_run = rows.setdefault((run, state), {"run": run, "state": state})
        of_run |= {f"{column}{ending}": value for column, value in scores.items()}
    rows["default.0", "trained"] |= change
    pq.write_table(pa.Table.from_pylist(list(rows.values())), path)


@pytest.mark.parametrize(
    ("change", "is_far"),
    [
        ({}, False),
        ({"mAP@10": 0.213}, False),  # another kind of processor, see README
        ({"mAP@10": 0.16}, True),
        ({"mean_rank": 100.0}, True),
        ({"mAP@10_low": 0.1}, True),
        ({"mAP@1_chance": 0.01}, True),
    ],
)
def test_what_is_too_far_is_seen(tmp_path: Path, change: dict[str, float], is_far: bool) -> None:
    columns = {column for scores in stated_scores().values() for column in scores}
    assert columns >= {*COLUMNS, "mAP@10_low", "mAP@10_high"}
    write_comparison(tmp_path / "comparison.parquet", change)
    assert bool(far_from_stated(tmp_path / "comparison.parquet")) == is_far
