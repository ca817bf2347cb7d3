"""Files that stand where others are expected: what systems leave, and pointers to their content."""

from __future__ import annotations

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}

# First bytes of files that are there in place of a content, what they are, and how to have it.
_POINTERS = (
    (b"version https://git-lfs.", "a Git LFS pointer", "run git lfs pull"),
    (b"version https://hawser.", "a Git LFS pointer", "run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer", "run git annex get"),
)
POINTER_BYTES = 32
"""How many of a file's first bytes tell a pointer."""


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that operating systems leave everywhere."""
    return name.startswith(".") or name.casefold() in _LITTER


def pointer(start: bytes, content: str) -> str | None:
    """Say what a file is that stands in place of `content`, by its first bytes; None of others."""
    for signature, kind, remedy in _POINTERS:
        if start.startswith(signature):
            return f"{kind} in place of {content}; {remedy}"
    return None
