"""What the data folder holds, by its label files and names; no image is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.data.checks import (
    require_enough,
    require_no_bad_image,
    require_scorable,
)
from lookalike.data.findings import Report
from lookalike.data.layout import SPLITS, DataSettings, folders_apart
from lookalike.data.links import resolved_files, same_files
from lookalike.data.manifest_table import usable
from lookalike.data.quality import data_report
from lookalike.data.scan import Scanned
from lookalike.errors import LookalikeError
from lookalike.models.backbones.sources import file_of_weights
from lookalike.report.runs import learnt_states
from lookalike.retrieval.search_settings import LEARNT_STATES
from lookalike.steps.manifest import read_entries, table_of_entries
from lookalike.sweeps.expansion import Sweeps
from lookalike.training.decisive import DataFacts
from lookalike.training.given import is_given
from lookalike.training.recipe import TrainedParts
from lookalike.training.trainable import require_images_for


@dataclass(frozen=True)
class DataSeen:
    """What is known of the data before any image is opened.

    Attributes:
        tables: of each split, as its manifest will be if all files that are there are images.
        report: data_report.json in that case.
        mistakes: what a run would stop at: the text, and the setting that it is about.
    """

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    report: Report = field(default_factory=dict)
    mistakes: Sequence[tuple[str, str | None]] = ()

    def names(self, split: str) -> list[str]:
        """The images of a split that are there."""
        names: list[str] = usable(self.tables[split])["image_id"].to_pylist()
        return names

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [n], the class of each training image that is there, by its number."""
        names = usable(self.tables["train"])["label"].to_numpy(zero_copy_only=False)
        return np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)

    @property
    def closed_set(self) -> bool:
        """Whether most queries are of classes that are trained on."""
        return DataFacts.from_report(self.report).closed_set

    @property
    def counts(self) -> dict[str, int]:
        """Images of each split that are there."""
        return {split: self.report["splits"][split]["ok"] for split in SPLITS}

    def lines(self) -> list[str]:
        """What is there, in words, and what is not."""
        lines = []
        for split in SPLITS:
            facts = self.report["splits"][split]
            lines.append(
                f"{split}: {facts['ok']:,} images of {facts['classes']:,} classes"
                + "".join(
                    f"; left out, {reason}: {counted['count']:,}"
                    for reason, counted in facts["reasons"].items()
                )
            )
        return lines


def look_at(settings: Mapping[str, Any], sweeps: Sweeps) -> DataSeen:
    """Look for what label files name, and whether a run could train on it and score it.

    Args:
        settings: resolved.
        sweeps: what became of the swept recipes.
    """
    data = DataSettings.from_dict(settings["data"])
    apart = folders_apart(Path(settings["results"]), Path(settings["cache"]))
    folders = {split: data.folder(split) for split in SPLITS}
    try:
        entries, unlisted = read_entries(data, folders, apart)
    except LookalikeError as error:
        return DataSeen(mistakes=[(str(error), _setting_at_fault(data, str(error)))])
    inside = {split: data.folder_name(split) for split in SPLITS}
    tables = {}
    for split in SPLITS:
        seen = {
            f"{inside[split]}/{entry.name}": _as_it_may_be(folders[split] / entry.name, entry.name)
            for entry in entries[split]
            if entry.status == "ok"
        }
        tables[split] = table_of_entries(entries[split], inside[split], seen, {})
    located = {}
    for split in ("query", "gallery"):
        ids = usable(tables[split])["image_id"].to_pylist()
        located[split] = dict(zip(ids, resolved_files(folders[split], ids), strict=True))
    pairs = same_files(located["query"], located["gallery"])
    no_links: dict[str, list[str]] = {split: [] for split in SPLITS}
    report = data_report(
        tables, unlisted, pairs, no_links, {}, False, labelled=settings["data"]["labelled"]
    )
    return DataSeen(tables, report, _mistakes(settings, sweeps, data, tables, report))


def _as_it_may_be(path: Path, name: str) -> Scanned:
    """What a file is taken for as long as it was not opened; each for another content."""
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    status, detail = ("ok", None) if there else ("missing_file", "there is no such file")
    return Scanned(name if there else None, None, None, None, None, status, detail)


def _mistakes(
    settings: Mapping[str, Any],
    sweeps: Sweeps,
    data: DataSettings,
    tables: Mapping[str, pa.Table],
    report: Report,
) -> list[tuple[str, str | None]]:
    """What a run would stop at, once its manifest is made."""
    recipes, runs = settings["recipes"], settings["runs"]
    asked = sweeps.trained_recipes(runs).items()
    made = {name: named for name, named in asked if not is_given(recipes[name])}
    trained = {name: named for name, named in made.items() if _trains(recipes[name])}
    learnt = learnt_states(settings["search"], [is_given(recipes[name]) for name in runs])
    try:
        require_no_bad_image(data, tables, report)
        require_enough(data, tables, report, trains=bool(trained), learnt=learnt)
    except LookalikeError as error:
        return [(str(error), _setting_at_fault(data, str(error)))]
    mistakes = [
        *_of_recipes(made, "model.weights", lambda name: file_of_weights(recipes[name]["model"])),
        *_of_recipes(trained, "", lambda name: require_images_for(report, name, recipes[name])),
    ]
    if data.labelled:
        try:
            require_scorable(report, settings["metrics"])
        except LookalikeError as error:
            mistakes.append((str(error), "metrics"))
    return mistakes


def _trains(recipe: Mapping[str, Any]) -> bool:
    return TrainedParts.from_setting(recipe["train"]).head


def _of_recipes(
    recipes: Mapping[str, str], setting: str, ask: Callable[[str], object]
) -> list[tuple[str, str | None]]:
    """What recipes are refused for; what many points of a sweep are, is told of the first.

    Args:
        recipes: their names, and by which the settings name them.
        setting: of a recipe, that it is about; empty for all of it.
        ask: raises LookalikeError for the recipe of a name.
    """
    points: dict[tuple[str, str], list[str]] = {}
    for name, named in recipes.items():
        try:
            ask(name)
        except LookalikeError as error:
            fault = str(error)
            points.setdefault((named, fault.replace(name, "")), []).append(fault)
    mistakes: list[tuple[str, str | None]] = []
    for (named, _), (fault, *others) in points.items():
        more = f" ({len(others):,} more recipes of {named} lack the same)" if others else ""
        mistakes.append((f"{fault}{more}", ".".join(filter(None, ["recipes", named, setting]))))
    return mistakes


def _setting_at_fault(data: DataSettings, fault: str) -> str:
    """The setting that a fault of the data is most likely about."""
    named = {
        "data.on_bad_image": "data.on_bad_image",
        **{f"search.{name}": f"search.{name}" for name in LEARNT_STATES},
        str(data.train_labels_path): "data.train_labels",
        str(data.test_labels_path): "data.test_labels",
    }
    return next((setting for text, setting in named.items() if fault.startswith(text)), "data.root")
