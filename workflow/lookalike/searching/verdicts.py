"""What the answers say as a whole, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lookalike.searching.answers import AnswerSet
from lookalike.text import shown

_NAMED_AT_MOST = 5


def verdicts(answers: AnswerSet, run: str) -> Iterator[str]:
    """Sentences on which images are in the gallery themselves, and which are not in it.

    Args:
        answers: what was found.
        run: the name of the run in whose gallery.
    """
    for number in list(answers.itself)[:_NAMED_AT_MOST]:
        name = shown(str(answers.queries[number]))
        yield f"{name}: {left_out_in_words(answers, number)}"
    if (more := len(answers.itself) - _NAMED_AT_MOST) > 0:
        yield f"{more:,} more images are in the gallery themselves, left out"
    if answers.threshold is None:
        why = f": {answers.promise}" if answers.promise else ""
        yield f"{run} has no threshold, so no answer is accepted or refused{why}"
        return
    threshold = f"the threshold of {run}, {answers.threshold:.{answers.decimals}f}"
    refused, lone = answers.is_refused, answers.has_none_accepted & ~answers.is_refused
    if not answers.of_gallery:
        if answers.promise:
            yield f"what the threshold promises: {answers.promise}"
        yield (
            f"{refused.sum():,} of {len(answers):,} not in the gallery by {threshold}"
            f"{_named(answers, np.flatnonzero(refused).tolist())}"
        )
    if answers.of_gallery or lone.any():
        yield (
            f"{lone.sum():,} of {len(answers):,} are in the gallery, and no other image reaches "
            f"{threshold}{_named(answers, np.flatnonzero(lone).tolist())}"
        )
    if answers.of_gallery:
        yield "that threshold was chosen by queries; for pairs of the gallery it promises nothing"


def left_out_in_words(answers: AnswerSet, number: int) -> str:
    """That a query is in the gallery itself, under which names; empty of a query that is not."""
    gallery_ids = answers.itself.get(number, [])
    if not gallery_ids:
        return ""
    names = [shown(name) for name in gallery_ids[:_NAMED_AT_MOST]]
    more = f" and {len(gallery_ids) - len(names):,} more" * (len(gallery_ids) > len(names))
    if answers.exclude == "same_id":
        return f"the gallery image of its id, {names[0]}, counts as the image itself, left out"
    return f"the image itself is in the gallery as {', '.join(names)}{more}, left out"


def _named(answers: AnswerSet, numbers: Sequence[int]) -> str:
    names = [shown(str(answers.queries[number])) for number in numbers[:_NAMED_AT_MOST]]
    return (": " + ", ".join(names) if names else "") + ", ..." * (len(numbers) > len(names))
