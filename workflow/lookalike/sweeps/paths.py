"""Settings of a recipe by their dotted paths, as the schema knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from lookalike.sweeps.extending import EXTENDS, SWEEP_KEYS
from lookalike.sweeps.merging import Settings

Rules = dict[str, list[Mapping[str, Any]]]
"""What the schema says of each path: of a loss's margin, once for every loss that has one."""


def rules_of_recipe(schema: Mapping[str, Any]) -> Rules:
    """Every setting of a recipe by its dotted path, a mapping such as `loss` among them.

    Args:
        schema: of all settings.
    """
    rules: Rules = {}
    for path, rule in _below(schema["$defs"]["recipe"], schema["$defs"], ""):
        if path.partition(".")[0] not in (EXTENDS, *SWEEP_KEYS):
            rules.setdefault(path, []).append(rule)
    return rules


def _below(
    rule: Mapping[str, Any], known: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "$ref" in rule:
        rule = known[rule["$ref"].rpartition("/")[2]]
    if path:
        yield path, rule
    for name, below in rule.get("properties", {}).items():
        # `true` stands for a name that is told of elsewhere.
        if isinstance(below, Mapping):
            yield from _below(below, known, f"{path}.{name}" if path else name)
    for case in (*rule.get("allOf", ()), *rule.get("anyOf", ())):
        then = case.get("then", case)
        for name, below in then.get("properties", {}).items():
            if isinstance(below, Mapping):
                yield from _below(below, known, f"{path}.{name}")


def is_whole(rules: list[Mapping[str, Any]]) -> bool:
    """Whether a setting is a whole number, by what the schema says of it."""
    cases = [case for rule in rules for case in (rule, *rule.get("anyOf", ()))]
    kinds = {case["type"] for case in cases if isinstance(case.get("type"), str)}
    return "integer" in kinds and "number" not in kinds


def is_range_of_counts(rules: list[Mapping[str, Any]], values: Any) -> bool:
    """Whether a range is one of whole numbers, of a setting that may be a share instead.

    Args:
        rules: what the schema says of the setting.
        values: what a sweep says of it.
    """
    if not isinstance(values, Mapping):
        return False
    ends = (values["from"], values["to"])
    return all(isinstance(end, int) for end in ends) and any(
        case.get("type") == "integer" and case["minimum"] <= ends[0] and ends[1] <= case["maximum"]
        for rule in rules
        for case in rule.get("anyOf", ())
        if not is_whole(rules)
    )


def takes_numbers(rules: list[Mapping[str, Any]]) -> bool:
    """Whether a setting is, or can be, a number."""
    cases = [case for rule in rules for case in (rule, *rule.get("anyOf", ()))]
    return any(case.get("type") in ("integer", "number") for case in cases)


def nested(path: str, value: Any) -> Settings:
    """A value by its dotted path as settings: `{"loss": {"margin": 0.4}}`."""
    settings: Any = value
    for name in reversed(path.split(".")):
        settings = {name: settings}
    return settings  # type: ignore[no-any-return]


def setting_at(settings: Mapping[str, Any], path: str) -> Any:
    """The value of a dotted path.

    Raises:
        KeyError: there is none.
    """

    def below(found: Any, name: str) -> Any:
        if not isinstance(found, Mapping):
            raise KeyError(path)
        return found[name]

    return reduce(below, path.split("."), settings)
