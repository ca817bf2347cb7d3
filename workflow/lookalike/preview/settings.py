"""Settings files, checked as a run would, with file and line of each mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.config import notes_on_idle_recipes, resolve_sweeps
from lookalike.errors import LookalikeError, SettingsError
from lookalike.old_names import OLD_NAMES, notes_on_old_names
from lookalike.retrieval.search_settings import notes_on_given
from lookalike.storage.yaml_files import read_yaml
from lookalike.storage.yaml_lines import YamlLines, read_with_lines
from lookalike.sweeps.expansion import Sweeps
from lookalike.sweeps.merging import Settings


@dataclass(frozen=True)
class CheckedSettings:
    """What settings files come to.

    Attributes:
        settings: resolved; empty where there are mistakes.
        sweeps: what became of the swept recipes.
        mistakes: a line each.
        notes: what is understood, though it may not be what was meant.
        files: where each setting stands.
    """

    settings: Settings
    sweeps: Sweeps
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: tuple[YamlLines, ...] = ()

    def located(self, fault: str, setting: str | None = None) -> str:
        """A mistake, with file and line of the setting in front where one of the files has it.

        Args:
            fault: what is wrong, which begins with the setting's path, or names it on the way.
            setting: its path, where the text does not tell.
        """
        tops = "|".join(self.settings) or "data|recipes"
        named = re.search(rf"\b(?:{tops})\.[\w.-]+", fault)
        for path in filter(None, [setting, fault, named and named[0]]):
            if place := place_in(self.files, path):
                return f"{place}: {fault}"
        return fault


def checked(paths: Sequence[Path], root: Path) -> CheckedSettings:
    """Read settings files, lay them over each other and check the result as a run would.

    Args:
        paths: as `snakemake --configfile` takes them, in order.
        root: folder of the workflow.
    """
    layers, mistakes = [read_yaml(root / "config.yaml")], []
    schema = read_yaml(root / "workflow" / "schemas" / "config.schema.yaml")
    for path in paths:
        try:
            layers.append(read_with_lines(path))
        except LookalikeError as error:
            mistakes.append(str(error))
    if mistakes:
        return CheckedSettings({}, Sweeps(), mistakes)
    files = tuple(map(YamlLines, paths))
    try:
        settings, sweeps = resolve_sweeps(layers, schema)
    except SettingsError as error:
        lines = [_with_place(files, line) for line in error.mistakes]
        return CheckedSettings({}, Sweeps(), lines, files=files)
    except LookalikeError as error:
        return CheckedSettings({}, Sweeps(), [str(error)], files=files)
    shipped = schema["properties"]["recipes"]["properties"]
    notes = [
        *notes_on_old_names(layers),
        *notes_on_idle_recipes(layers, shipped, settings["runs"], sweeps),
        *notes_on_given(settings),
    ]
    return CheckedSettings(settings, sweeps, [], notes, files)


def place_in(files: Sequence[YamlLines], path: str) -> str:
    """`file:line` of a setting: of the last file that has most of its path; empty where none has.

    Args:
        files: in the order in which they are laid over each other.
        path: as for `YamlLines.place`.
    """
    found = [
        (place.depth, number, f"{file.path}:{place.line}")
        for number, file in enumerate(files)
        for spelt in _spellings(path)
        if (place := file.place(spelt)) is not None
    ]
    return max(found)[2] if found else ""


def _with_place(files: Sequence[YamlLines], fault: str) -> str:
    place = place_in(files, fault)
    return f"{place}: {fault}" if place else fault


def _spellings(path: str) -> list[str]:
    """A setting's path as it is, and with the name that a recipe had before."""
    old = [
        re.sub(rf"^recipes\.{new}\b", f"recipes.{before}", path)
        for before, new in OLD_NAMES.items()
    ]
    return [path, *(one for one in old if one != path)]


def runs_in(settings: Mapping[str, Any]) -> list[str]:
    """The runs that settings ask for, by name."""
    from lookalike.report.runs import run_name
    from lookalike.training.given import runs_of

    return [
        run_name(*of_run) for recipe in settings["runs"] for of_run in runs_of(recipe, settings)
    ]
