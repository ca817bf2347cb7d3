"""What the sections of a page that tell numbers are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lookalike.report.answers import (
    answer_figures,
    false_match_rates,
    left_out_of_pairs,
    roc_figure,
)
from lookalike.report.cards import card_keys, table_keys
from lookalike.report.class_growth import class_growth
from lookalike.report.differences import NO_DIFFERENCE, gain_of
from lookalike.report.figures import headline_figures, telling_keys
from lookalike.report.growth_figures import forecasts_of, growing, growth_figures
from lookalike.report.outcome import found_in_words, told_cut_offs
from lookalike.report.recipe_points import recipe_points
from lookalike.report.results import ComparisonRows, states_of
from lookalike.report.runs import BASELINE, MAIN
from lookalike.report.selections import MOST_WINNERS, read_selections
from lookalike.report.side_by_side import of_one_run_each, side_by_side
from lookalike.report.slices import MOST_RUNS, slices_of
from lookalike.report.subject import MOST_SHOWN, Subject
from lookalike.report.summary_table import SummaryTable, summary_table
from lookalike.report.summary_text import remarks_on_rows
from lookalike.report.verdicts_in_words import on_seeds, says_what_it_takes, verdict_in_words
from lookalike.retrieval.identification import Answers

TIED = 0.01
"""Share of queries from which on ties are shown."""


def numbers(subject: Subject) -> dict[str, Any]:
    """The sections of scores: cards, the table of recipes, every run, differences, ties."""
    leading, rows, summary = subject.leading, subject.rows, subject.leading.main.summary
    table = table_of(subject, shown=True)
    return {
        "key": subject.key,
        "headline": subject.headline,
        "cards": card_keys(subject.k),
        "table": table,
        "remarks": remarks_on_rows(table, subject.no_interval),
        "found_first": found_in_words(
            subject.k,
            rows[leading.name, MAIN.name],
            rows.get((leading.name, BASELINE.name)),
            leading.called(BASELINE),
        ),
        "not_shown": not_shown(subject),
        "leading": leading,
        "why_first": subject.first.why,
        "by_class": subject.by_class,
        "why_units": summary["units"]["why"],
        "runs": subject.shown_runs,
        "n_runs": len(subject.results),
        "n_recipes": len(subject.recipes),
        "states": states_of(subject.shown_runs),
        "rows": rows,
        "no_interval": subject.no_interval,
        "without_width": _without_width(rows, table_keys(subject.k)),
        "differences": subject.compared_of_shown,
        "tied": [run for run in subject.shown_runs if run.main.summary["ties"]["share"] >= TIED],
    }


def not_shown(subject: Subject) -> str:
    """A sentence where what training changed, in the numbers told first, may be chance."""
    judged = subject.compared.get(gain_of(subject.leading), {})
    # At 1 both are the share of queries whose first image is right.
    keys = ["mAP@1" if k == 1 else f"CMC@{k}" for k in told_cut_offs(subject.k)]
    told = [judged[key].verdict == NO_DIFFERENCE for key in keys if key in judged]
    if not any(told):
        return ""
    if all(told):
        which = "these numbers" if len(told) > 1 else "this number"
    else:
        which = "the first number" if told[0] else "the second number"
    return f"What training changed in {which} may be chance."


def table_of(subject: Subject, *, shown: bool) -> SummaryTable:
    """The table of recipes: of those that are shown, or of all."""
    recipes = subject.shown_recipes if shown else subject.recipes
    return summary_table(
        recipes, subject.rows, table_keys(subject.k), subject.key, subject.compared
    )


def recipes_compared(subject: Subject, selection: Path | None) -> dict[str, Any]:
    """Recipes against the baseline, and all of them side by side.

    Args:
        subject: what the page is about.
        selection: selection.json; None where nothing was chosen from sweeps.
    """
    verdicts, key, shown_recipes = subject.verdicts, subject.key, subject.shown_recipes
    shown_against = verdicts.against[:MOST_SHOWN]
    intervals = {mean.recipe: mean.interval[key] for mean in verdicts.means}
    points = recipe_points(subject.results, subject.rows, key, intervals)
    all_drawn = len(subject.shown_runs) == len(subject.results)
    all_recipes = side_by_side(points, key, runs_are_drawn=all_drawn)
    # A chart of all recipes shows the runs that lead, too, where each is a recipe of its own.
    drawn_with_all = all_recipes and of_one_run_each(points) and all_recipes.estimates
    return {
        "verdicts": verdicts,
        "against": shown_against,
        "means": [mean for mean in verdicts.means if mean.recipe in shown_recipes],
        "verdicts_in_words": [
            sentence
            for one in shown_against
            if (sentence := verdict_in_words(one, key, subject.by_class, len(verdicts.against)))
        ],
        "any_untold": any(says_what_it_takes(one, key) for one in verdicts.against),
        "on_seeds": on_seeds(shown_recipes, subject.by_class, subject.no_interval is None),
        "selections": read_selections(selection) if selection else [],
        "most_winners": MOST_WINNERS,
        "side_by_side": all_recipes,
        "headline_figures": headline_figures(
            subject.shown_runs,
            subject.rows,
            subject.headline,
            key,
            drawn_below=drawn_with_all.heading if drawn_with_all else "",
        ),
    }


def parts_and_growth(
    subject: Subject, attributes: Path | None, slices: Sequence[str]
) -> dict[str, Any]:
    """The queries in slices, and metrics over the sizes of the gallery and of the training set.

    Args:
        subject: what the page is about.
        attributes: what is known of the queries; None where there are no slices.
        slices: columns of `attributes` by whose values the queries are told apart.
    """
    by_rank, headline, protocol = subject.by_rank, subject.headline, subject.protocol
    growing_keys = growing(by_rank, headline)
    return {
        "slices": slices_of(by_rank, attributes, slices, headline, protocol) if attributes else {},
        "growing": growing_keys,
        "growth_figures": growth_figures(by_rank, telling_keys(growing_keys, subject.key)),
        "forecasts": forecasts_of(subject.shown_runs),
        "class_growth": class_growth(
            subject.results, subject.rows, subject.verdicts.means, subject.key, headline, protocol
        ),
        "most_runs": MOST_RUNS,
    }


def answers(subject: Subject) -> dict[str, Any]:
    """What the threshold makes of the queries' answers, and pairs of images."""
    leading = subject.leading
    verification = leading.main.summary["verification"]
    return {
        "answer_figures": answer_figures(
            Answers.of(subject.answered), leading.threshold["score"], leading.place
        ),
        "roc_figure": roc_figure(verification, leading.place),
        "left_out_of_pairs": left_out_of_pairs(
            {run.name: run.main.summary["verification"] for run in subject.shown_runs}
        ),
        "false_match_rates": false_match_rates(verification),
    }


def _without_width(rows: ComparisonRows, keys: Sequence[str]) -> bool:
    """Whether an interval is but a point: all queries, or classes, scored alike."""
    bounds = [(row[f"{key}_low"], row[f"{key}_high"]) for row in rows.values() for key in keys]
    # Sums of equal numbers differ in their last bits.
    return any(low is not None and high - low < 1e-9 for low, high in bounds)
