"""Run recipes on all data sets, the peer beside them, and write one table.

    make suite                       choose by this: query and gallery are of the training classes
    make suite-final                 score the real splits, once
    make suite ARGS="--data emoji --recipes default --seeds 0"

What is there is not made again. See benchmarks/suite/README.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from lookalike.errors import LookalikeError
from suite.datasets import DATA_SETS
from suite.peer import LOSSES
from suite.runs import RESULTS, Plan, run
from suite.settings import RECIPES, ROOT, read_recipes
from suite.tables import choose_losses, markdown, read_cells, rows_of, write_table

QUICK_STEPS = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="suite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=list(DATA_SETS), default=list(DATA_SETS))
    parser.add_argument("--recipes", nargs="*", help="of the file; without: all, no name: none")
    parser.add_argument("--file", type=Path, default=RECIPES, help="of recipes")
    parser.add_argument("--peers", nargs="*", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of the default recipe, on each data set")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps of everything")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=ROOT, help="of data, results and cache")
    parser.add_argument("--final", action="store_true", help="score the real splits")
    parser.add_argument("--again", action="store_true", help="though they have been scored")
    asked = parser.parse_args(arguments)
    try:
        suite(asked)
    except LookalikeError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped: the same command goes on from here") from None


def suite(asked: argparse.Namespace) -> None:
    """Run, and write the table.

    Raises LookalikeError where the real splits have been scored, or nothing was chosen before.
    """
    started = time.monotonic()
    steps = QUICK_STEPS if asked.quick else asked.steps
    recipes = read_recipes(asked.file, asked.recipes)
    peers: dict[str, Sequence[str]] = dict.fromkeys(asked.data, asked.peers)
    folder = asked.folder.resolve()
    plan = Plan(folder, "development", asked.data, recipes, peers, asked.seeds, steps)
    table = folder / RESULTS / "development" / "table"
    if asked.final:
        table = folder / RESULTS / "final" / "table"
        require_unscored(table, asked.again)
        chosen = choose_losses(read_cells(plan), asked.data) if asked.peers else {}
        if asked.peers and (missing := [name for name in asked.data if name not in chosen]):
            raise LookalikeError(
                f"no loss of the peer was chosen on {', '.join(missing)}: run make suite before"
            )
        peers = {name: [chosen[name]] if asked.peers else [] for name in asked.data}
        plan = Plan(folder, "final", asked.data, recipes, peers, asked.seeds, steps)
    failed = run(plan, asked.cores)
    cells = read_cells(plan)
    rows = rows_of(cells, asked.data)
    page = markdown(rows, asked.data, plan.split)
    minutes = (time.monotonic() - started) / 60
    print(f"\n{page}\n{minutes:.0f} minutes", flush=True)
    # Of the real splits, a table that is there says that they have been scored.
    if not (asked.final and failed):
        write_table(table, rows, page)
        print(f"written to {table}.csv and {table}.md")
    if failed:
        logs = "\n  ".join(failed)
        raise SystemExit(f"error: not all was done; see, under {folder},\n  {logs}")


def require_unscored(table: Path, again: bool) -> None:
    """See that the real splits are scored once: what is chosen by them is not measured by them."""
    if table.with_suffix(".csv").exists() and not again:
        raise LookalikeError(
            f"the real splits have been scored: {table}.md. To look at them again is to choose by "
            "them; if that is what you want, add --again"
        )


if __name__ == "__main__":
    main()
