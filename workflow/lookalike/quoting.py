"""Names and labels as a person reads them: in logs, messages, tables and pages."""

from __future__ import annotations

import sys
from pathlib import Path

from lookalike.unseen import is_unseen

LONGEST = 120
"""Characters shown of a name or a label."""

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
