"""What there is to choose from: a record for each variant of a thing, with all that is said of it.

A table of records imports no variant and nothing heavy: rules read it. A variant's module is
imported when it is built, by the name in its record, so that a step depends on those variants alone
that its settings name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lookalike.errors import LookalikeError
from lookalike.text import did_you_mean

Value = bool | int | float | str
"""Of a setting."""

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Setting:
    """A setting of a variant.

    Attributes:
        name: its key.
        type: bool, int, float or str.
        default: its value where none is given.
        meaning: one sentence, or less.
        minimum: the least value that it may have.
        above: a number that it must be above.
        maximum: the greatest value that it may have.
        below: a number that it must be below.
        choices: the values that it may have, if they can be listed.
        off: the value with which nothing is done.
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    meaning: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    off: Value | None = None

    def schema(self) -> dict[str, Any]:
        """What the JSON schema of the settings says of it."""
        bounds = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
            "exclusiveMaximum": self.below,
        }
        kind = {"enum": [*self.choices]} if self.choices else {"type": _JSON_TYPES[self.type]}
        given = {key: value for key, value in bounds.items() if value is not None}
        return {**kind, **given, "default": self.default, "description": self.meaning}


@dataclass(frozen=True)
class Variant:
    """One of several things that a setting chooses from.

    Attributes:
        name: as settings name it.
        builder: `module:function`; the function takes the variant's settings by keyword, after what
            all variants of its kind are given. Empty where nothing is built.
        meaning: one sentence on what it is.
        source: where it comes from: a paper, or a library.
        settings: of its own.
        libraries: distributions that it needs, and not every training does.
    """

    name: str
    builder: str
    meaning: str
    source: str
    settings: tuple[Setting, ...] = ()
    libraries: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Dotted name of the module that holds its code."""
        return self.builder.partition(":")[0]

    @property
    def function(self) -> str:
        """Name of the function that builds it."""
        return self.builder.partition(":")[2]

    @property
    def built_by(self) -> list[str]:
        """How it is built, as far as its record says: its function, and names of its settings.

        Not where its code is, which may move.
        """
        return [self.function, *(setting.name for setting in self.settings)]

    def load(self) -> Callable[..., Any]:
        """Its builder, whose module is imported now."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return found

    def own(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Those of `values` that are its settings."""
        return {setting.name: values[setting.name] for setting in self.settings}

    def is_on(self, values: Mapping[str, Value]) -> bool:
        """Whether `values` ask for anything of it: one of its settings is not `off`."""
        return any(values[setting.name] != setting.off for setting in self.settings)


@dataclass(frozen=True)
class Chosen:
    """What settings choose of a table.

    Attributes:
        name: of the variant.
        values: of its settings, complete.
    """

    name: str
    values: Mapping[str, Value]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Value]) -> Chosen:
        """From a mapping of the settings: `name` beside the values."""
        values = {key: value for key, value in settings.items() if key != "name"}
        return cls(str(settings["name"]), values)


V_co = TypeVar("V_co", bound=Variant, covariant=True)


class Table(Generic[V_co]):
    """The variants of one kind, by name.

    Args:
        place: the setting that chooses, for messages: `loss.name`.
        kind: what is chosen: `loss`.
        variants: in the order in which they are shown.
    """

    def __init__(self, place: str, kind: str, *variants: V_co) -> None:
        self.place, self.kind = place, kind
        self._variants = {variant.name: variant for variant in variants}

    def __getitem__(self, name: str) -> V_co:
        """The variant of that name.

        Raises:
            LookalikeError: there is none.
        """
        if name not in self._variants:
            known = did_you_mean(name, self._variants)
            raise LookalikeError(f"{self.place}: there is no {self.kind} {name!r}{known}")
        return self._variants[name]

    def __iter__(self) -> Iterator[V_co]:
        return iter(self._variants.values())

    def switched_on(self, values: Mapping[str, Value]) -> list[V_co]:
        """Those of which complete settings of all ask for anything, in order."""
        return [variant for variant in self if variant.is_on(values)]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all variants, in order."""
        return tuple(self._variants)
