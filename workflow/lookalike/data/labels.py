"""The label files: flat JSON {file name: label}."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.errors import LookalikeError
from lookalike.text import quoted, visible

_EXPECTED = 'expected one object {"file name": label, ...}, each label a string or an integer'

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


class LabelEntry(NamedTuple):
    """One key of a label file: its label, or why it is refused.

    `status` is `ok`, `unsafe_name`, `unusable_label` or `conflicting_labels`; `detail` says why in
    a sentence, None where ok; `label` is None where there is not one usable label. A `name` that
    no file can have because it is no valid Unicode is kept with the faulty part spelt out.
    """

    name: str
    label: str | None
    status: str
    detail: str | None


@dataclass(frozen=True)
class Labels:
    """What a label file says: one entry per distinct key, in the order of the file."""

    path: Path
    entries: tuple[LabelEntry, ...]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a key given twice is seen."""


def read_labels(path: str | Path, *, may_be_empty: bool = False) -> Labels:
    """Read a label file: UTF-8, with or without a byte order mark.

    An integer is its decimal text, so 7 and "7" are one class; a string is taken as it stands. A
    key given again with the same label counts once, also where it spells the file another way.
    may_be_empty: whether an object without entries can be used.
    Raises LookalikeError, naming the place and the remedy, where the file as a whole cannot be
    used.
    """
    path = Path(path)
    value = _parsed(path, _text(path))
    if not isinstance(value, _Pairs):
        raise LookalikeError(f"{path} holds {_kind(value)}; {_EXPECTED}.")
    if not value and not may_be_empty:
        raise LookalikeError(f"{path} holds an empty object; {_EXPECTED}.")
    # A file's entry goes by the first of its spellings.
    spellings: dict[str, str] = {}
    labels_of: dict[str, list[Any]] = {}
    for name, label in value:
        labels_of.setdefault(spellings.setdefault(_file_of(name), name), []).append(label)
    return Labels(path, tuple(_entry(name, labels) for name, labels in labels_of.items()))


def _file_of(name: str) -> str:
    """One spelling for all of a file's: a.png for ./a.png. A refused name stays as it is."""
    # Nearly all names have no other spelling, and are not looked at twice.
    if "//" not in name and "./" not in name:
        return name
    # With a slash at its end it would be a folder.
    is_file = _name_fault(name) is None and name.rpartition("/")[2] not in {"", "."}
    return os.path.normpath(name) if is_file else name


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LookalikeError(
            f"{path} cannot be read: {error.strerror}. It is the JSON file that labels the images; "
            "config.yaml says where it is (data.root, data.train_labels, data.test_labels)."
        ) from None
    if content and not content.strip(b"\0"):
        raise LookalikeError(f"{path} holds nothing but NUL bytes, as a crash leaves; restore it.")
    encoding = json.detect_encoding(content)
    if not encoding.startswith("utf-8"):
        raise LookalikeError(f"{path} is {encoding[:6].upper()} text; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LookalikeError(
            f"{path} is not UTF-8 text (line {line}, byte {error.start + 1} of the file); "
            "save it as UTF-8."
        ) from None


def _parsed(path: Path, text: str) -> Any:
    try:
        # Integers stay text, which is what labels are; so none is too long for Python either.
        return json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=lambda digits: "0" if digits == "-0" else digits,
        )
    except json.JSONDecodeError as error:
        raise LookalikeError(
            f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}; "
            f"{_EXPECTED}."
        ) from None
    except RecursionError:
        raise LookalikeError(f"{path} is nested too deeply; {_EXPECTED}.") from None


def _entry(name: str, labels: list[Any]) -> LabelEntry:
    usable = list(dict.fromkeys(label for label in labels if _label_fault(label) is None))
    faults = [fault for label in labels if (fault := _label_fault(label)) is not None]
    label = usable[0] if len(usable) == 1 and not faults else None
    name_fault = _name_fault(name)
    if name_fault is not None:
        return LabelEntry(storable(name), label, "unsafe_name", name_fault)
    if not usable:
        return LabelEntry(name, None, "unusable_label", faults[0])
    if label is None:
        given = [quoted(text, 40) for text in usable[:5]]
        given += [f"{len(usable) - 5:,} more"] * (len(usable) > 5)
        given += ["one that is unusable"] * bool(faults)
        return LabelEntry(name, None, "conflicting_labels", f"given as {' and '.join(given)}")
    return LabelEntry(name, label, "ok", None)


def _name_fault(name: str) -> str | None:
    if not name:
        return "the file name is empty"
    if "\0" in name:
        return "the file name holds a NUL character"
    if storable(name) != name:
        return "the file name is not valid Unicode (half of a surrogate pair)"
    if _ABSOLUTE.match(name):
        return "the file name is an absolute path; it must lie inside the image folder"
    if ".." in re.split(r"[/\\]", name):
        return 'the file name holds ".."; it must lie inside the image folder'
    return None


def _label_fault(label: Any) -> str | None:
    if not isinstance(label, str):
        # As programs write 7 in a column where another value is missing.
        is_whole = isinstance(label, float) and label.is_integer()
        instead = f', such as {int(label)} or "{_kind(label)}"' if is_whole else ""
        return f"the label is {_kind(label)}; it must be text or a whole number{instead}"
    if not visible(label).strip():
        return "the label is an empty or blank string"
    if storable(label) != label:
        return "the label is not valid Unicode (half of a surrogate pair)"
    return None


def storable(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 has no bytes for, spelt out as \\udxxx."""
    return text.encode("utf-8", "backslashreplace").decode()


def _kind(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a single value"
    return json.dumps(value)  # null, true, false, or a number with a fraction or an exponent
