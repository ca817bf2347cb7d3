"""On which line of a settings file a setting stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lookalike.errors import LookalikeError
from lookalike.storage.yaml_files import read_yaml

_MERGE = "tag:yaml.org,2002:merge"
# What follows the last key of a path in a message: `: what is wrong`, or `(as a point of a sweep)`.
_ENDS = (".", ":", " (", ",")
_UNKNOWN = re.compile(r": unknown key ")


class SettingPlace(NamedTuple):
    """Where a setting stands, as far as it was found.

    Attributes:
        line: from 1.
        depth: how many keys of its path were found.
    """

    line: int
    depth: int


class YamlLines:
    """The lines of a settings file.

    Args:
        path: a file that can be read as YAML; of any other one no place is known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
            self._root: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
            self._root = None

    def place(self, path: str) -> SettingPlace | None:
        """Where a setting stands; None where not even the first key of its path does.

        Args:
            path: its keys, with dots between them, as a message begins: what follows is taken for
                what is wrong. Where it names an unknown key, or an entry of a list, that is meant.
        """
        node, rest, found = self._root, path, None
        depth = 0
        while node is not None:
            child = _child(node, rest)
            if child is None:
                break
            key, node, n_characters = child
            depth += 1
            found = SettingPlace(key.start_mark.line + 1, depth)
            rest = rest[n_characters:]
            if not rest.startswith("."):
                break
            rest = rest[1:]
        named = _named_in(node, rest if found else f": {path.partition(': ')[2]}")
        return SettingPlace(named.start_mark.line + 1, depth + 1) if named is not None else found


def _child(node: yaml.Node, rest: str) -> tuple[yaml.Node, yaml.Node, int] | None:
    """The part of a node that the rest of a path begins with: its key, itself, the key's length."""
    best = None
    if isinstance(node, yaml.SequenceNode):
        number = re.match(r"\d+", rest)
        if number and int(number[0]) < len(node.value):
            item = node.value[int(number[0])]
            best = (item, item, len(number[0]))
    for key, value in _pairs(node):
        name = key.value
        fits = rest == name or rest.startswith(tuple(f"{name}{end}" for end in _ENDS))
        # Keys may hold dots themselves.
        if fits and (best is None or len(name) > best[2]):
            best = (key, value, len(name))
    return best


def _named_in(node: yaml.Node | None, rest: str) -> yaml.Node | None:
    """The unknown key of a mapping, or the entry of a list, that the end of a message names."""
    if isinstance(node, yaml.SequenceNode):
        # The first that is named: a suggestion may follow.
        places = [
            (rest.find(repr(item.value)), number)
            for number, item in enumerate(node.value)
            if isinstance(item, yaml.ScalarNode) and repr(item.value) in rest
        ]
        return node.value[min(places)[1]] if places else None
    if (unknown := _UNKNOWN.match(rest)) is None:
        return None
    named = rest[unknown.end() :]
    keys = [key for key, _ in _pairs(node) if named.startswith((repr(key.value), key.value))]
    return max(keys, key=lambda key: len(key.value), default=None)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys and values of a mapping, its own before those that are merged into it (`<<`)."""
    if not isinstance(node, yaml.MappingNode):
        return
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if key.tag == _MERGE:
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif isinstance(key, yaml.ScalarNode):
            yield key, value
    for source in merged:
        if source is not node:
            yield from _pairs(source)


def read_with_lines(path: Path) -> dict[str, Any]:
    """As `read_yaml`; the message of what cannot be read begins with file and line.

    Raises:
        LookalikeError: as there.
    """
    try:
        return read_yaml(path)
    except LookalikeError as error:
        line = _line_of(error.__cause__, path)
        if line is None:
            raise
        what = str(error).removeprefix(f"{path}: ")
        raise LookalikeError(f"{path}:{line}: {what}") from error


def _line_of(error: BaseException | None, path: Path) -> int | None:
    """The line that an error in reading a file speaks of, from 1; None where it names none."""
    for mark in (getattr(error, "problem_mark", None), getattr(error, "context_mark", None)):
        if mark is not None:
            return int(mark.line) + 1
    if isinstance(error, OSError) or not path.is_file():
        return None
    content = path.read_bytes()
    if isinstance(error, UnicodeDecodeError):
        # Of what was read at a time, or of the whole: so it is read again.
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as whole:
            return content.count(b"\n", 0, whole.start) + 1
    if isinstance(error, yaml.reader.ReaderError):
        return content.decode("utf-8", "replace").count("\n", 0, error.position) + 1
    return _line_of_value(content.decode("utf-8", "replace"))


def _line_of_value(text: str) -> int | None:
    """The line of the first value that cannot be what it looks like, such as a date without day."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    if root is None or not isinstance(root, yaml.MappingNode):
        return 1
    todo: list[yaml.Node] = [root]
    seen: set[int] = set()
    faults = []
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            if not _can_be_made(node):
                faults.append(node.start_mark.line + 1)
        elif isinstance(node, yaml.MappingNode):
            todo += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
    return min(faults, default=1)


def _can_be_made(node: yaml.ScalarNode) -> bool:
    loader = yaml.SafeLoader("")
    try:
        repr(loader.construct_object(node))
    except Exception:  # as in `read_yaml`: nearly every type
        return False
    finally:
        loader.dispose()
    return True
