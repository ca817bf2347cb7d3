"""Mistakes in settings, as a person reads them: where, what is there, and what is allowed.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jsonschema

from lookalike.text import did_you_mean, shown
from lookalike.training.given import GIVEN_BY

TOP = "(top level)"
"""Place of a mistake that is in no setting."""


def explain_fault(error: jsonschema.ValidationError) -> Iterator[str]:
    """A line for each mistake that the error stands for."""
    place = ".".join(str(part) for part in error.absolute_path) or TOP
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        value: Any = error.instance
        known = schema["properties"]
        # Which keys a loss or a model has depends on its name, which may be a default.
        kind = f" of {value['name']}" if "name" in known and "name" in value else ""
        # What makes a recipe one of another kind is none of its keys.
        names = [*known, *([GIVEN_BY] if "loss" in known else [])]
        for key in value:
            if key not in known:
                yield f"{place}: unknown key {key!r}{kind}{did_you_mean(key, names)}"
    else:
        yield f"{place}: {_fault(error)}"


# Snakemake's reading of --config 'image={size: 64}'.
_ON_THE_LINE = " (in a mapping given to --config, all is text: give it in a file)"


def _fault(error: jsonschema.ValidationError) -> str:
    schema: Any = error.schema
    value: Any = error.instance
    if error.validator == "required" and "from" in schema["properties"]:
        return (
            f"{value!r} is no range; write it as {{from: 0.1, to: 1.0}}, or give a list of values"
        )
    if error.validator == "required" and "name" not in schema["required"]:
        missing = error.message.removesuffix(" is a required property")
        return f"the key {missing} is missing; it takes {' and '.join(schema['required'])}"
    if error.validator == "required":  # `name`, of a loss, a model and the like
        given = ", ".join(map(repr, value)) or "none"
        return (
            "the key 'name' is missing; it is one of "
            f"{', '.join(schema['properties']['name']['enum'])} (keys given: {given})"
        )
    if error.validator == "enum":
        known = schema["enum"]
        allowed = ", ".join(str(choice) for choice in known)
        return f"{value!r} is not one of {allowed}" + did_you_mean(value, known, list_known=False)
    if error.validator == "anyOf" and "enum" in schema["anyOf"][0]:
        names, mapping = schema["anyOf"]
        (key,) = mapping["required"]
        least = mapping["properties"][key]["minimum"]
        return (
            f"{value!r} is not one of {', '.join(names['enum'])}, nor a mapping with a whole "
            f"number from {least} up such as {{{key}: 2}}"
        )
    if error.validator == "anyOf" and "const" not in schema["anyOf"][0]:
        share, count = schema["anyOf"]
        return (
            f"{shown(repr(value), 40)} must be a share above 0 and up to {share['maximum']}, or a "
            f"whole number (without quotes) from {count['minimum']} up"
        )
    if error.validator == "anyOf":
        word, number = schema["anyOf"]
        if "maximum" not in number:
            return f"{value!r} must be {word['const']}, or {number['minimum']} or more"
        return (
            f"{shown(repr(value), 40)} must be {word['const']}, or a whole number (without quotes) "
            f"from {number['minimum']} to {number['maximum']}"
        )
    if error.validator == "oneOf":
        one_of = [key for case in schema["oneOf"] for key in case["required"]]
        return f"{value!r} must have one of the keys {', '.join(one_of)}"
    if error.validator == "pattern" and "{" in schema["pattern"]:
        return (
            f"{value!r} holds braces or angle brackets, which Snakemake takes for wildcards and "
            "variables, or control characters; rename the folder, or name a link that leads to it"
        )
    if error.validator == "pattern":
        return f"{value!r} must begin with a letter or a digit and hold only these, '-' and '_'"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if error.validator == "type" and is_number and not is_finite_number(None, value):
        return f"{shown(repr(value), 40)} must be a finite number"
    if error.validator == "type" and schema["type"] == "array":
        return f"{value!r} must be a list, such as [{value}]"
    if error.validator == "type" and schema["type"] == ["array", "object"]:
        return f"{value!r} must be a list of values, or a range such as {{from: 0.1, to: 1.0}}"
    if error.validator == "type" and schema["type"] == "string":
        return f"{value!r} must be text; write it in quotes"
    if error.validator == "type" and schema["type"] == "object":
        return f"{value!r} must be a mapping of settings, such as {{name: value}}"
    if error.validator == "type" and isinstance(value, str) and _reads_as_number(value):
        if "integer" in schema["type"]:
            return f"{value!r} is text; write the whole number without quotes{_ON_THE_LINE}"
        return f"{value!r} is text to YAML; write it with a point, such as 1.0e-3{_ON_THE_LINE}"
    if error.validator == "type" and schema["type"] == "boolean" and isinstance(value, str):
        return f"{value!r} is text; write true or false without quotes{_ON_THE_LINE}"
    if error.validator == "type" and schema["type"] == ["boolean", "object"]:
        known = ", ".join(schema["properties"]) or "none"
        return f"{value!r} must be true, false or a mapping of its settings ({known})"
    if error.validator == "not":  # of what may be a number or false
        return f"{value!r} is neither a whole number nor false"
    return str(error.message)


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_finite_number(_: Any, value: Any) -> bool:
    """Whether a value is a number to compute with, in the form that JSON Schema checks types by."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
