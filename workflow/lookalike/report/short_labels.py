"""Labels without what all of them begin with: in a narrow place that would be all to be seen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

# After these a prefix ends whatever comes next; after the others only before a word, since 1.5 and
# 1.7 are not 5 and 7.
_OF_PATHS = "/\\"
_SEPARATORS = f"{_OF_PATHS}._:|- "
_ID = re.compile(r"([A-Za-z]{0,2}\d+)[._:|/\\ -]+(?=.)", re.DOTALL)
_SHORTEST_ID = 3


def short_labels(labels: Iterable[str]) -> dict[str, str]:
    """What is left of each label without the common prefix; no two are left alike, and none empty.

    A prefix ends where a word does (`animals/dog` and `animals/cat` are dog and cat), or is an id
    that each label has of its own, such as those of WordNet (`n02085620-Chihuahua`).

    Args:
        labels: all that may stand beside each other.
    """
    known = sorted(set(labels))
    left = known
    if len(known) > 1:
        while True:
            cut = _without_ids(_without_prefix(left))
            if cut == left:
                break
            left = cut
    return dict(zip(known, left, strict=True))


def _without_prefix(labels: list[str]) -> list[str]:
    first, last = min(labels), max(labels)
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(character for character, _ in shared)
    for end in range(len(common), 0, -1):
        if common[end - 1] not in _SEPARATORS:
            continue
        rest = [label[end:] for label in labels]
        words = common[end - 1] in _OF_PATHS or all(map(_has_letter, rest))
        if words and all(map(str.strip, rest)) and any(map(str.isalnum, common[:end])):
            return rest
    return labels


def _without_ids(labels: list[str]) -> list[str]:
    found = [match for label in labels if (match := _ID.match(label))]
    ids = {match[1] for match in found}
    if len(found) < len(labels) or len(ids) < len(labels) or len({*map(len, ids)}) > 1:
        return labels
    rest = [match.string[match.end() :] for match in found]
    if len(found[0][1]) < _SHORTEST_ID or len({*rest}) < len(rest):
        return labels
    return rest if all(map(_has_letter, rest)) else labels


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))
