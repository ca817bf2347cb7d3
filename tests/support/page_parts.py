"""What of a report is the same whenever it is made of equal results."""

from __future__ import annotations

import re

_ORIGIN = re.compile(r'<details class="origin">.*?</details>', re.DOTALL)
# How long steps took: of trainings, of runs beside each other, and of each epoch.
_TIMES = re.compile(
    r'<(td|p) class="[^"]*\btook">.*?</\1>'
    r'|<td class="n">[\d.]+ (s|min)</td>'
    r'|<tr><th scope="row" class="n">[^\n]*</tr>',
    re.DOTALL,
)


def without_origin(page: str) -> str:
    """A page without the fold that tells where it comes from."""
    rest, folds = _ORIGIN.subn("", page)
    assert folds == 1
    return rest


def repeatable_part(page: str) -> str:
    """A page without what tells how, when and in which time its results were made."""
    return re.sub("\n+", "\n", _TIMES.sub("", without_origin(page)))
