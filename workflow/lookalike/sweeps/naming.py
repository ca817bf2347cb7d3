"""Names of the recipes that a sweep is expanded into: what each has that the others have not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lookalike.storage.digests import digest_of

LONGEST_NAME = 120
"""Characters of a name: a folder may have 255, and a fold, a length and a seed are added."""

_DIGITS = 8  # of a digest in a name


def point_names(
    sweep: str, points: Sequence[Mapping[str, Any]], taken: Iterable[str] = ()
) -> list[str]:
    """Name the points of a sweep: `ms-lr0.001-margin0.4`.

    A setting is called by the last word of its path, or by so much of the path as tells it from the
    others; a `name` goes without saying. Where two names would be alike but for capital letters,
    or one is taken, all of these have a digest of their settings added; one that is too long for a
    folder has its end replaced by one. So a name does not depend on the other points' order.

    Args:
        sweep: name of the recipe.
        points: the values by dotted path.
        taken: names of other recipes.

    Returns:
        A name for each point, in order; all differ.
    """
    paths = sorted({path for point in points for path in point})
    words = dict(zip(paths, short_paths(paths), strict=True))
    names = [
        "-".join([sweep, *(_piece(words[path], value) for path, value in point.items())])
        for point in points
    ]
    other = {name.casefold() for name in taken}
    times = Counter(name.casefold() for name in names)
    return [
        _shortened(name, point)
        if len(name) > LONGEST_NAME or times[name.casefold()] > 1 or name.casefold() in other
        else name
        for name, point in zip(names, points, strict=True)
    ]


def _shortened(name: str, point: Mapping[str, Any]) -> str:
    kept = name[: LONGEST_NAME - _DIGITS - 1].rstrip(".-")
    return f"{kept}-{digest_of(dict(point), length=_DIGITS)}"


def short_paths(paths: Sequence[str]) -> list[str]:
    """The last words of dotted paths, with as many before them as it takes to tell them apart."""
    parts = [path.split(".") for path in paths]
    lengths = [1] * len(paths)
    while True:
        short = [".".join(part[-n:]) for part, n in zip(parts, lengths, strict=True)]
        times = Counter(short)
        longer = [
            min(n + (times[name] > 1), len(part))
            for name, n, part in zip(short, lengths, parts, strict=True)
        ]
        if longer == lengths:
            return short
        lengths = longer


def _piece(word: str, value: Any) -> str:
    """A setting and its value in a name."""
    text = value_in_name(value)
    if word.rpartition(".")[2] == "name" or (isinstance(value, Mapping) and "name" in value):
        return text
    takes_numbers = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{word}{text}" if takes_numbers else f"{word}_{text}"


def value_in_name(value: Any) -> str:
    """A value as it stands in the name of a folder: letters, digits, `_`, `-` and `.`."""
    if isinstance(value, bool | None):
        text = {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, Mapping):
        others = [_piece(key, value[key]) for key in value if key != "name"]
        text = "-".join([*([value_in_name(value["name"])] if "name" in value else []), *others])
    elif isinstance(value, list):
        text = "_".join(map(value_in_name, value))
    else:
        text = str(value)
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)
