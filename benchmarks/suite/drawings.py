"""The demo's emoji: three drawings of each."""

from __future__ import annotations

from pathlib import Path

from lookalike.demo.emoji import Drawings, Emoji, catalogue
from lookalike.steps.demo import GALLERY_HANDS, QUERY_HANDS, choose, images, licences
from suite.layouts import Layout, Made

SIZES = {"train": 400, "query": 150, "distractors": 200}
# Of the 400; five are over, since families are not divided.
SIZES_TO_CHOOSE_BY = {"train": 260, "query": 80, "distractors": 55}


def emoji(work: Path) -> Made:
    """The demo's own 400 classes to train on, and 150 others to find among 350.

    To choose by: of the 400, 260 are trained on and 80 others are found among 135.
    """
    final = choose(catalogue(), SIZES, 0)
    trained = [one for one, _ in final["train"]]
    development = choose(trained, SIZES_TO_CHOOSE_BY, 1)
    return Made(_layout(development), _layout(final), licences())


def _layout(chosen: dict[str, list[tuple[Emoji, Drawings]]]) -> Layout:
    return Layout(
        images(chosen["train"], QUERY_HANDS + GALLERY_HANDS),
        images(chosen["query"], QUERY_HANDS),
        images(chosen["query"] + chosen["distractors"], GALLERY_HANDS),
    )
