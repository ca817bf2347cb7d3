"""All that is known of a run before it begins, in lines to read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.data.layout import DataSettings, require_apart
from lookalike.errors import LookalikeError
from lookalike.jobs.progress import duration_in_words
from lookalike.jobs.torch_devices import choose_device
from lookalike.preview.costs import SMALL_SIZE, RunCost, WholeCost, estimate, remakes_manifest
from lookalike.preview.data import DataSeen, look_at
from lookalike.preview.dry_run import dry_run
from lookalike.preview.settings import CheckedSettings, checked, runs_in
from lookalike.provenance import PACKAGE
from lookalike.storage.files import nearest_there
from lookalike.text import shown_path

# Above which a smaller image is worth a word.
_LONG = 10 * 60
# Where `rule demo` makes its images: nobody else's data need to be there before.
_DEMO = Path("resources/demo")


@dataclass(frozen=True)
class Outlook:
    """What was found out.

    Attributes:
        lines: to read.
        is_well: whether a run could begin.
    """

    lines: Sequence[str]
    is_well: bool


def look_ahead(files: Sequence[Path], cores: int) -> Outlook:
    """Check settings and data, and tell what would run, how long it takes and what it writes.

    Nothing is written but, in the cache folder, how fast this machine is.

    Args:
        files: settings, as `snakemake --configfile` takes them, in order.
        cores: of this machine, that a run may use.

    Raises:
        LookalikeError: the workflow is not beside the package.
    """
    root = PACKAGE.parent.parent
    if not (root / "Snakefile").is_file():
        raise LookalikeError(
            f"{shown_path(root)}: there is no Snakefile here; check needs the workflow beside its "
            "package, as it is in a checkout that was installed with pip install -e"
        )
    settings = checked(files, root)
    if settings.mistakes:
        return Outlook(_wrong(settings.mistakes), False)
    lines = [f"settings: right{f' ({_named(files)})' if files else ''}"]
    lines += [f"  note: {settings.located(note)}" for note in settings.notes]
    made_first = _is_made_first(settings.settings)
    data = DataSeen() if made_first else look_at(settings.settings, settings.sweeps)
    if made_first:
        lines.append("data: the demo's, which a run makes first; so neither time nor disk is known")
    lines += [f"data: {settings.settings['data']['root']}"] * bool(data.report)
    lines += [f"  {line}" for line in (data.lines() if data.report else ())]
    mistakes = [settings.located(fault, setting) for fault, setting in data.mistakes]
    if mistakes := [*mistakes, *_places(settings)]:
        return Outlook([*lines, *_wrong(mistakes)], False)
    runs = runs_in(settings.settings)
    lines.append(f"runs: {', '.join(runs)}")
    plan = dry_run(root / "Snakefile", files, cores)
    if plan.fault:
        return Outlook([*lines, *_wrong([settings.located(plan.fault)])], False)
    if remakes_manifest(settings.settings, plan):
        lines.append(f"would run, at most: {plan.in_words}")
        lines.append("  which of these is known once the manifest of the changed data is made")
    else:
        lines.append(f"would run: {plan.in_words}")
    if plan.counts and not made_first:
        device = choose_device(settings.settings["device"])
        try:
            costs = estimate(settings.settings, data, plan, device, cores)
        except LookalikeError as error:
            return Outlook([*lines, *_wrong([settings.located(str(error))])], False)
        lines += [*_times(costs), *_room(settings.settings, costs)]
    return Outlook(lines, True)


def _is_made_first(settings: Mapping[str, Any]) -> bool:
    """Whether the data are the demo's, and not made yet."""
    data = DataSettings.from_dict(settings["data"])
    return data.root == _DEMO and not data.train_labels_path.exists()


def _named(files: Sequence[Path]) -> str:
    return ", ".join(map(shown_path, files))


def _wrong(mistakes: Sequence[str]) -> list[str]:
    lines = ["  " + fault.replace("\n", "\n    ") for fault in mistakes]
    return [f"{len(lines)} mistake{'s' * (len(lines) > 1)}, so nothing runs:", *lines]


def _places(settings: CheckedSettings) -> list[str]:
    """What is wrong with where things are to lie."""
    values = settings.settings
    data = DataSettings.from_dict(values["data"])
    try:
        require_apart(data, Path(values["results"]), Path(values["cache"]))
    except LookalikeError as error:
        return [settings.located(str(error), str(error).partition(" ")[0])]
    return []


def _times(costs: WholeCost) -> Iterator[str]:
    """How long each kind of work takes, then all of it."""
    where = f"this machine's {costs.threads} cores" if costs.device == "cpu" else costs.device
    how = "measured just now" if costs.measured else "as measured before"
    yield f"time, on {where} ({how}; others at work here make it longer):"
    if costs.reading:
        yield f"  reading and decoding the images: about {duration_in_words(costs.reading)}"
    for run in costs.runs:
        only_if = ", if training images changed" if run.may_stay else ""
        yield f"  training {run.name}: {_training(run)}{only_if}"
    for name in costs.unknown:
        yield f"  {name}: its settings are chosen on the way"
    if costs.embedding:
        yield f"  embedding: about {duration_in_words(costs.embedding)}"
    yield (
        "  scores, tables, the report, and starting each job: about "
        f"{duration_in_words(costs.scoring + costs.starting)}"
    )
    about = "at most about" if costs.at_most else "about"
    yield f"  in all {about} {duration_in_words(costs.seconds)}, one job after another"


def _training(run: RunCost) -> str:
    """`30 epochs x 40,000 images at 224 px, about 12 h (at 64 px: 1 h)`."""
    cost = run.cost
    if not cost.steps:
        return f"nothing is trained, {cost.images:,} images at {run.size} px"
    length = f"{cost.epochs} epochs x {cost.images:,} images at {run.size} px"
    if cost.by_steps:
        length = f"{cost.steps:,} steps, of {cost.images:,} images at {run.size} px"
    if cost.width:
        length += ", which the backbone sees once"
    small = ""
    if run.seconds_small is not None and run.seconds > _LONG:
        small = f" (at {SMALL_SIZE} px: {duration_in_words(run.seconds_small)})"
    return f"{length}, about {duration_in_words(run.seconds)}{small}"


def _room(settings: Mapping[str, Any], costs: WholeCost) -> Iterator[str]:
    """What the run will write, and whether there is room for it."""
    wanted = {"cache": costs.cache_bytes, "results": costs.result_bytes}
    yield f"disk: at most about {_size(sum(wanted.values()))} more"
    for name, n_bytes in wanted.items():
        folder = Path(settings[name])
        free = shutil.disk_usage(nearest_there(folder)).free
        short = ": NOT ENOUGH" if free < n_bytes else ""
        yield f"  {name} ({shown_path(folder)}): {_size(n_bytes)}; {_size(free)} free{short}"
    for name in costs.decodes_each_epoch:
        yield (
            f"  {name}: its images are more than image.pixel_store_gb "
            f"({settings['image']['pixel_store_gb']}), so each epoch decodes them again"
        )


def _size(n_bytes: float) -> str:
    if n_bytes < 1e9:
        return f"{max(1, round(n_bytes / 1e6)):,} MB"
    return f"{n_bytes / 1e9:,.1f} GB"
