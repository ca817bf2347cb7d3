"""Reading settings files: YAML in which no key is given twice.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from lookalike.errors import LookalikeError

# libyaml's parser, where it was built in: ten times as fast, and each start reads three files.
_FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_MERGE, _VALUE = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"


class _Loader(_FASTEST):
    """Refuses a key that is given twice, of which PyYAML takes the last; merges as YAML 1.1 says.

    PyYAML 6.0.4 goes by where a key's text lies in memory to tell whether a merge (`<<`) has it
    already: what was merged once and is merged again loses keys of its own.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        # All at once, for merging puts pairs of other mappings among those that are written.
        todo, seen = [node], {node}
        while todo:
            inside = todo.pop()
            if isinstance(inside, yaml.MappingNode):
                self._refuse_keys_given_twice(inside)
            pairs = inside.value if isinstance(inside, yaml.CollectionNode) else ()
            for child in (part for pair in pairs for part in _nodes(pair)):
                if child not in seen:
                    seen.add(child)
                    todo.append(child)
        return super().construct_document(node)

    def _refuse_keys_given_twice(self, node: yaml.MappingNode) -> None:
        marks: dict[Any, yaml.Mark] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                # Two spellings of one value (0x10 and 16, yes and true) are one key.
                what = key.tag if key.tag in (_MERGE, _VALUE) else self.construct_object(key)
                if first := marks.get(what):
                    raise ConstructorError(
                        f"the key {key.value!r} is given", first, "and again", key.start_mark
                    )
                marks[what] = key.start_mark

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put the pairs of merged mappings among a mapping's own, which go before them."""
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key, value in node.value:
            if key.tag == _VALUE:
                key.tag = "tag:yaml.org,2002:str"
            if key.tag != _MERGE:
                own[_key(key)] = (key, value)
                continue
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    raise ConstructorError(
                        "while merging (<<)",
                        node.start_mark,
                        "expected a mapping or a list of mappings",
                        source.start_mark,
                    )
                self.flatten_mapping(source)
                for pair in source.value:
                    merged.setdefault(_key(pair[0]), pair)
        node.value = [*(merged | own).values()]


def _nodes(part: Any) -> tuple[yaml.Node, ...]:
    """The key and the value of a mapping's pair, or an entry of a list."""
    return part if isinstance(part, tuple) else (part,)


def _key(node: yaml.Node) -> Any:
    return (node.tag, node.value) if isinstance(node, yaml.ScalarNode) else node


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a settings file; an empty file is an empty mapping.

    Raises:
        LookalikeError: the file is no YAML, or is not a mapping.
    """
    try:
        with Path(path).open(encoding="utf-8") as stream:  # a stream has a name for messages
            value = yaml.load(stream, _Loader)
        repr(value)  # messages quote the value: one that cannot be written is refused here
    except Exception as error:  # of a date or number that is none, PyYAML raises nearly every type
        raise LookalikeError(f"{path}: cannot be read as YAML: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LookalikeError(f"{path}: settings must be a mapping of names to values")
    return value
