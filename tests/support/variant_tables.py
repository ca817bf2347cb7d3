"""What is made of the records of variants, and written anew by running this file.

The tables in config/README.md, and the definitions of networks, losses and batches in the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lookalike.models.table import MODELS
from lookalike.records import Setting, Table, Variant
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.losses.record import Loss
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINER_CHOICES
from lookalike.training.optimizers.table import OPTIMIZERS
from lookalike.training.samplers.table import SAMPLERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "config" / "README.md"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
BEGIN, END = (
    "<!-- made by tests/support/variant_tables.py of the records in workflow/lookalike -->\n",
    "<!-- end -->\n",
)


class Kind(NamedTuple):
    """A mapping of a recipe whose `name` chooses: its key, and the table."""

    key: str
    table: Table[Any]


KINDS = (
    Kind("model", MODELS),
    Kind("loss", LOSSES),
    Kind("miner", MINER_CHOICES),
    Kind("batch", SAMPLERS),
    Kind("optimizer", OPTIMIZERS),
)


def settings_of(variant: Variant) -> tuple[Setting, ...]:
    return variant.every_setting if isinstance(variant, Loss) else variant.settings


def schema_of(kind: Kind) -> dict[str, Any]:
    """What the schema's definition of a kind should be."""
    return {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": list(kind.table.names)}},
        "allOf": [
            {
                "if": {"properties": {"name": {"const": variant.name}}},
                "then": {
                    "additionalProperties": False,
                    "properties": {"name": True, **properties(settings_of(variant))},
                },
            }
            for variant in kind.table
        ],
    }


def properties(settings: Iterable[Setting]) -> dict[str, Any]:
    return {setting.name: setting.schema() for setting in settings}


def schema_of_augmentations() -> dict[str, Any]:
    return properties(setting for change in AUGMENTATIONS for setting in change.settings)


def bounds(setting: Setting) -> str:
    if setting.choices:
        return " or ".join(f"`{choice}`" for choice in setting.choices)
    words = {
        "above": setting.above,
        "from": setting.minimum,
        "to": setting.maximum if setting.maximum != 1_000_000 else None,
        "below": setting.below,
    }
    return " ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)


def described(setting: Setting) -> str:
    default = yaml.safe_dump(setting.default).split("\n")[0]
    inside = "; ".join(filter(None, [f"default `{default}`", bounds(setting)]))
    return f"`{setting.name}` ({inside}): {setting.meaning}"


def tables() -> str:
    """All tables, as in the page."""
    lines = []
    for kind in KINDS:
        lines += [f"| `{kind.key}.name` | is | settings | source |", "|---|---|---|---|"]
        lines += [row(variant) for variant in kind.table]
        lines.append("")
    lines += ["| `augment` | is | settings | source |", "|---|---|---|---|"]
    lines += [row(change) for change in AUGMENTATIONS]
    return "\n".join([*lines, ""])


def row(variant: Variant) -> str:
    settings = "<br>".join(map(described, settings_of(variant)))
    return f"| `{variant.name}` | {variant.meaning} | {settings} | {variant.source} |"


def page() -> str:
    """The page as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}{tables()}{END}{after}"


def definition(kind: Kind) -> str:
    """A kind's definition in the schema, as text."""
    lines = [
        f"  {kind.key}:",
        "    type: object",
        "    required: [name]",
        f"    properties: {{name: {{enum: [{', '.join(kind.table.names)}]}}}}",
        "    allOf:",
    ]
    for variant in kind.table:
        lines += [
            f"      - if: {{properties: {{name: {{const: {variant.name}}}}}}}",
            "        then:",
            "          additionalProperties: false",
            "          properties:",
            "            name: true",
        ]
        for setting in settings_of(variant):
            rule = ", ".join(f"{key}: {_in_yaml(key, v)}" for key, v in setting.schema().items())
            lines.append(f"            {setting.name}: {{{rule}}}")
    return "\n".join([*lines, ""])


def _in_yaml(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return value if isinstance(value, str) and key != "description" else json.dumps(value)


def schema() -> str:
    """The schema's text as it should be."""
    text = SCHEMA.read_text(encoding="utf-8")
    for kind in KINDS:
        before, begin, rest = text.partition(
            f"\n  {kind.key}:\n    type: object\n    required: [name]"
        )
        following = re.search(r"^  \w", rest, re.MULTILINE)
        assert begin and following
        text = f"{before}\n{definition(kind)}{rest[following.start() :]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
