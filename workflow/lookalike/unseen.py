"""Characters that leave no mark where a text is shown, so that two texts look the same."""

from __future__ import annotations

import unicodedata

# Letters and signs that fonts draw as nothing, which Unicode counts as printable: fillers of Hangul
# and Khmer, the braille cell without dots, joiners and variation selectors of Mongolian and others.
_DRAWN_AS_NOTHING = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)
# After an emoji they choose its style; after a letter nothing is seen of them.
_STYLES = frozenset(map(chr, range(0xFE00, 0xFE10)))


def is_unseen(character: str) -> bool:
    """Whether a reader would never see that it is there: also marks of format, category Cf."""
    return character in _DRAWN_AS_NOTHING or unicodedata.category(character) == "Cf"


def visible(text: str) -> str:
    """`text` without what cannot be seen, and without the styles of emoji."""
    if text.isascii():
        return text
    return "".join(one for one in text if not (is_unseen(one) or one in _STYLES))
