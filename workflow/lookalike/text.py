"""Names and labels as a person reads them: in logs, messages, tables and pages.

Some characters leave no mark where a text is shown, so that two texts look the same.
"""

from __future__ import annotations

import difflib
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LONGEST = 120
"""Characters shown of a name or a label."""

# Letters and signs that fonts draw as nothing, which Unicode counts as printable: fillers of Hangul
# and Khmer, the braille cell without dots, joiners and variation selectors of Mongolian and others.
_DRAWN_AS_NOTHING = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)
# After an emoji they choose its style; after a letter nothing is seen of them.
_STYLES = frozenset(map(chr, range(0xFE00, 0xFE10)))
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\"}


def shown(text: str, longest: int = LONGEST) -> str:
    """`text` as it stands where nothing in it can mislead, else `quoted`.

    In a list of names a comma misleads; a line break, a terminal's control characters, a mark that
    turns the direction of writing, or a blank at an end would be taken for something else, or not
    be seen at all.
    """
    plain = (
        text == text.strip()
        and not any(character in ',;"' or _is_hidden(character) for character in text)
        and text
    )
    return text if plain and len(text) <= longest else quoted(text, longest)


def shown_path(path: str | Path) -> str:
    """A path in whole, however long: it says which file is meant."""
    return shown(str(path), longest=sys.maxsize)


def quoted(text: str, longest: int = LONGEST) -> str:
    """`text` in double quotes, on one line, what cannot be seen spelt out; cut if it is longer."""
    cut = text if len(text) <= longest else text[: longest - 3]
    return f'"{"".join(map(_spelt, cut))}{"" if cut == text else "..."}"'


def _is_hidden(character: str) -> bool:
    return not character.isprintable() or is_unseen(character)


def _spelt(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if not _is_hidden(character):
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def is_unseen(character: str) -> bool:
    """Whether a reader would never see that it is there: also marks of format, category Cf."""
    return character in _DRAWN_AS_NOTHING or unicodedata.category(character) == "Cf"


def visible(text: str) -> str:
    """`text` without what cannot be seen, and without the styles of emoji."""
    if text.isascii():
        return text
    return "".join(
        character for character in text if not (is_unseen(character) or character in _STYLES)
    )


def did_you_mean(name: Any, known: Iterable[Any], *, list_known: bool = True) -> str:
    """The end of a message on an unknown name: the nearest known one, else all of them."""
    names = {str(known_name).casefold(): str(known_name) for known_name in known}
    # The nearest by its letters would be the CPU.
    if name == "gpu" and "cuda" in names:
        name = "cuda"
    close = difflib.get_close_matches(str(name).casefold(), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {names[close[0]]!r}?"
    return f"; known: {', '.join(sorted(names.values()))}" if list_known else ""
