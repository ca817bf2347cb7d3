"""Which run is shown first: chosen by what training held out, never by the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError
from lookalike.storage.files import read_json
from lookalike.text import shown
from lookalike.training.keeping import SCORE

if TYPE_CHECKING:
    import pandas as pd

METRIC = SCORE.removeprefix("validation_")
_DECIDES_WHAT_IS_HELD_OUT = ("of", "classes", "seed", "fold", "folds")


@dataclass(frozen=True)
class HeldOutRun:
    """A run that may be shown first.

    Attributes:
        recipe: its name.
        score: of the images that its training held out; None where there is none.
        held_out: what decides which images these are.
    """

    recipe: str
    score: float | None
    held_out: tuple[Any, ...]

    @classmethod
    def of(cls, recipe: str, settings: Mapping[str, Any], history: pd.DataFrame) -> HeldOutRun:
        """Of a run.

        Args:
            recipe: its name.
            settings: of the recipe, as in model.json.
            history: history.parquet.
        """
        validation = settings.get("validation", {})
        return cls(
            recipe, _score(history), tuple(validation.get(key) for key in _DECIDES_WHAT_IS_HELD_OUT)
        )


def _score(history: pd.DataFrame) -> float | None:
    """Of the epoch whose weights are kept, or where it was not scored, the last that was."""
    if SCORE not in history:
        return None
    scored = history[history[SCORE].notna()]
    if scored.empty:
        return None
    kept = scored[scored["kept"].astype(bool)] if "kept" in scored else scored.tail(0)
    return float((scored if kept.empty else kept)[SCORE].iloc[-1])


@dataclass(frozen=True)
class First:
    """The run that is shown first: its place among the candidates, and in words why."""

    place: int
    why: str


def shown_first(candidates: Sequence[HeldOutRun]) -> First:
    """The first seed of the recipe that did best on held-out training images.

    By the mean over its seeds. Where these images are not the same for all, it is the first run.
    """
    by_recipe: dict[str, list[HeldOutRun]] = {}
    for candidate in candidates:
        by_recipe.setdefault(candidate.recipe, []).append(candidate)
    if len(by_recipe) == 1:
        seeds = len(candidates)
        return First(0, f"the first of {seeds} seeds" if seeds > 1 else "")
    without = [
        recipe
        for recipe, runs in by_recipe.items()
        if any(candidate.score is None for candidate in runs)
    ]
    if len(without) == len(by_recipe):
        return First(0, "the first in runs, since no training images were held out to choose by")
    if without:
        others = f" and {len(without) - 1:,} more" if len(without) > 1 else ""
        return First(
            0,
            "the first in runs, since no training images were held out to choose by in "
            f"{shown(without[0])}{others}",
        )
    if len({candidate.held_out for candidate in candidates}) > 1:
        return First(
            0,
            "the first in runs, since the recipes held out different training images "
            "(validation), by which they cannot be compared",
        )
    means = {
        recipe: sum(candidate.score or 0 for candidate in runs) / len(runs)
        for recipe, runs in by_recipe.items()
    }
    best = max(means, key=lambda recipe: means[recipe])
    of_all = "both" if len(by_recipe) == 2 else f"all {len(by_recipe)}"
    return First(
        [candidate.recipe for candidate in candidates].index(best),
        f"the first seed of the recipe with the highest {METRIC} on training images that "
        f"{of_all} recipes held out ({means[best]:.3f}, each sought among these alone: "
        "no number to lay beside those of the test)",
    )


def run_shown_first(results: Path, runs: Sequence[str]) -> str:
    """The run that the report shows first, by the runs' files; the first where these do not tell.

    Args:
        results: the folder of all results.
        runs: their names, in the order of the comparison.
    """
    from lookalike.embedding.tables import GIVEN_KEY, read_metadata
    from lookalike.storage.parquet import read_frame

    recipes = [run.rpartition(".")[0] for run in runs]
    if len(set(recipes)) == 1:
        return runs[0]
    candidates = []
    for run, recipe in zip(runs, recipes, strict=True):
        try:
            # Beside embeddings from elsewhere a model of before may lie.
            if read_metadata(results / run / "embeddings" / "gallery.parquet").get(GIVEN_KEY):
                return runs[0]
            settings = read_json(results / run / "model.json", {"settings": dict})["settings"]
            history = read_frame(results / run / "history.parquet")
        except LookalikeError:  # whoever hands on one run hands on no other
            return runs[0]
        candidates.append(HeldOutRun.of(recipe, settings, history))
    return runs[shown_first(candidates).place]
