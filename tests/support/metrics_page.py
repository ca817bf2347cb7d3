"""The tables of docs/metrics.md that are made from the metrics' records.

`python tests/support/metrics_page.py` writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lookalike.retrieval import metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def metrics_table() -> str:
    rows = ["| key | per query | in words |", "|---|---|---|"]
    rows += [
        f"| `{metric.key.format(k='k')}` | {metric.formula} | {metric.explained('k')} |"
        for metric in metrics.METRICS
    ]
    return "\n".join(rows)


def chance_table() -> str:
    rows = ["| metric | by chance |", "|---|---|"]
    rows += [
        f"| `{metric.key.format(k='k')}` | {metric.chance_formula or 'estimated by simulation'} |"
        for metric in metrics.METRICS
    ]
    return "\n".join(rows)


TABLES: dict[str, Callable[[], str]] = {"metrics": metrics_table, "chance": chance_table}


def page(text: str) -> str:
    """The page with its tables made anew; each stands between two comments."""
    for name, table in TABLES.items():
        begin, end = (
            f"<!-- {name}: made by tests/support/metrics_page.py -->\n",
            f"\n<!-- {name}: end -->",
        )
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        text, times = re.subn(pattern, lambda _: begin + table() + end, text, flags=re.DOTALL)  # noqa: B023 - called at once
        assert times == 1, name
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
