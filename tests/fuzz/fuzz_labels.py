"""Any bytes as a label file: read, or refused in a sentence that names the file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import LABEL_FILES, LABEL_TOKENS, atheris, fuzz, memory_folder

with atheris.instrument_imports(include=["lookalike"]):
    from lookalike.data.labels import LabelEntry, read_labels, storable
    from lookalike.errors import LookalikeError

PATH = memory_folder() / "labels.json"
STATUSES = {"ok", "unsafe_name", "unusable_label", "conflicting_labels"}
INSIDE = "/some/folder"


def one_input(content: bytes) -> None:
    """Raises where the labels break a promise, or the reader fails in its own way."""
    PATH.write_bytes(content)
    try:
        entries = read_labels(PATH).entries
    except LookalikeError as error:
        assert str(PATH) in str(error), "the file is not named"
        str(error).encode()
        return
    # One that is no Unicode is spelt out, and may then read like another one.
    names = [entry.name for entry in entries if "not valid Unicode" not in (entry.detail or "")]
    assert len(set(names)) == len(names), "a name is given twice"
    for entry in entries:
        assert entry.status in STATUSES, entry
        assert (entry.status == "ok") == (entry.detail is None), entry
        for text in (entry.name, entry.label, entry.detail):
            if text is not None:
                text.encode()  # neither may hold what UTF-8 has no bytes for
        if entry.status == "ok":
            assert entry.label is not None and entry.label.strip(), entry
            place = os.path.normpath(f"{INSIDE}/{entry.name}")
            assert place == INSIDE or place.startswith(f"{INSIDE}/"), entry
    _agrees_with_the_standard_reader(content, entries)


def _place(name: str) -> tuple[str, ...]:
    """The parts of a path, however it is spelt; what ends in a slash is a folder."""
    *folders, last = name.split("/")
    return (*(part for part in folders if part not in {"", "."}), last)


def _agrees_with_the_standard_reader(content: bytes, entries: tuple[LabelEntry, ...]) -> None:
    try:
        plain = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # Python's own reader takes no integer of 5000 digits
        return
    assert isinstance(plain, dict) and len(entries) <= len(plain), "more keys than there are"
    read = {entry.name for entry in entries}
    places = {_place(name) for name in read}
    for name in plain:
        assert storable(name) in read or _place(name) in places, f"{name!r} is lost"
    labels = {entry.name: entry.label for entry in entries if entry.status == "ok"}
    for name, value in plain.items():
        # The last value of a key given more than once is its only one where the entry is ok.
        if isinstance(value, str) and name in labels:
            assert labels[name] == value, name


if __name__ == "__main__":
    fuzz(one_input, LABEL_FILES, LABEL_TOKENS)
