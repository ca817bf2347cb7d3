"""Files that stand where others are expected: what systems leave, and pointers to their content."""

from __future__ import annotations

import codecs

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}

# First bytes of files that are there in place of a content, what they are, and how to have it.
_POINTERS = (
    (b"version https://git-lfs.", "a Git LFS pointer", "run git lfs pull"),
    (b"version https://hawser.", "a Git LFS pointer", "run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer", "run git annex get"),
)
_PARQUET = (b"PAR1", b"PARE")  # the second of an encrypted one
# First bytes of files that hold tables or arrays of other programs, and what these are.
_TABLES = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"CDF", "a NetCDF file"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"\xff\xff\xff\xff", "an Arrow stream"),
    (b"FEA1", "a Feather file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"PK\x03\x04", "a ZIP archive, as np.savez and torch.save write"),
    # Of all protocols that a binary pickle has had since 2003.
    *((bytes([0x80, protocol]), "a pickle, which is never opened") for protocol in range(2, 6)),
)
KIND_BYTES = 256
"""How many of a file's first bytes tell a pointer, or a table of another kind."""


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that operating systems leave everywhere."""
    return name.startswith(".") or name.casefold() in _LITTER


def pointer(start: bytes, content: str) -> str | None:
    """Say what a file is that stands in place of `content`, by its first bytes; None of others."""
    for signature, kind, remedy in _POINTERS:
        if start.startswith(signature):
            return f"{kind} in place of {content}; {remedy}"
    return None


def table_of_another_kind(start: bytes, name: str) -> str | None:
    """Say what a file is that was given as a parquet table; None where it may be one, or damaged.

    Args:
        start: its first `KIND_BYTES` bytes.
        name: its name, whose ending tells texts apart.
    """
    if not start or start.startswith(_PARQUET):
        return None
    for signature, kind in _TABLES:
        if start.startswith(signature):
            return kind
    if not _is_text(start):
        return None
    if start.lstrip(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[")):
        return "JSON"
    ending = name.lower().rpartition(".")[2]
    return "CSV" if ending in ("csv", "tsv") else "text"


def _is_text(start: bytes) -> bool:
    """Whether bytes may begin a text: whole characters of UTF-8, none that no text has."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)
