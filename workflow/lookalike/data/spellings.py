"""Labels and names that are equal but for what is hardly seen.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

from lookalike.text import quoted, visible

FIRST = 5
"""Names given as examples."""

_NUMBER = re.compile(r"\d+")


def first_few(texts: Iterable[str]) -> str:
    """The first few of some texts, and how many more there are."""
    some = list(texts)
    more = len(some) - FIRST
    return " and ".join(some[:FIRST]) + (f" and {more:,} more" if more > 0 else "")


def nearly_equal_labels(labels: Iterable[str]) -> list[str]:
    """Labels that differ only in case, Unicode form, unseen characters, blanks or as 7 from 007."""
    return nearly_equal(labels, lambda text: _with_plain_numbers(" ".join(folded(text).split())))


def nearly_equal(texts: Iterable[str], fold: Callable[[str], str]) -> list[str]:
    """Texts that are equal once they are folded, by group."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for text in sorted(set(texts)):
        groups[fold(text)].append(text)
    return [first_few(map(quoted, group)) for group in groups.values() if len(group) > 1]


def folded(text: str) -> str:
    """`text` without case, Unicode form and unseen characters."""
    return visible(unicodedata.normalize("NFC", text).casefold())


def _with_plain_numbers(text: str) -> str:
    """`text` with its numbers in one spelling: 7 for 007 and ٧; and if it is a number, for +7, 7.0.

    What spreadsheets and programs do to a number on the way; digits are those of any script.
    """
    if not _NUMBER.search(text):
        return text
    text = _NUMBER.sub(lambda digits: "".join(str(unicodedata.decimal(x)) for x in digits[0]), text)
    if (number := re.fullmatch(r"([+-]?)(\d*)\.?(\d*)", text)) is not None:
        sign, whole, part = (
            number[1].strip("+"),
            number[2].lstrip("0") or "0",
            number[3].rstrip("0"),
        )
        return (sign if whole != "0" or part else "") + whole + ("." + part if part else "")
    return re.sub(r"(?<![\d.])0+(?=\d)", "", text)
