"""How long the jobs of a run will take on this machine, and what they will write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lookalike.config import image_settings, recipe_and_seed
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.speed import Speeds
from lookalike.preview.data import DataSeen
from lookalike.preview.decoding import DecodingSpeed
from lookalike.preview.dry_run import DryRun
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json
from lookalike.training.class_subsets import as_noted
from lookalike.training.given import is_given
from lookalike.training.probe import TrainingCost, training_cost
from lookalike.training.recipe import TrainedParts, changes_seen

# Scores of a query with a gallery image that are computed and counted in a second.
_SCORES_A_SECOND = 1e8
# Python and its libraries, for each job.
_START = 6.0
_FLOAT = 4
_OF_BACKBONE = ("name", "backbone", "weights", "pooling")
_PLACE = 60  # bytes that a place of a ranking takes


@dataclass(frozen=True)
class RunCost:
    """What a run takes.

    Attributes:
        name: of the run.
        cost: of its training.
        seconds: of its training.
        seconds_small: of the same at `SMALL_SIZE` pixels, where that is less and can be asked for.
        size: pixels on each side of its images.
        embedding: seconds that embedding an image takes, decoding included.
        may_stay: whether its model is there, made by these settings, and is made anew only where
            training images changed.
    """

    name: str
    cost: TrainingCost
    seconds: float
    seconds_small: float | None
    size: int
    embedding: float
    may_stay: bool = False


SMALL_SIZE = 64
"""Pixels on each side of images that a network without pretrained weights is much faster with."""


@dataclass(frozen=True)
class WholeCost:
    """How long all will take, and what it will write.

    Attributes:
        reading: seconds for the manifest and the decoded training images.
        runs: each run that would be trained.
        embedding: seconds for all embeddings.
        scoring: seconds for all metrics.
        starting: seconds in which jobs start.
        cache_bytes: what the cache will hold more, at most.
        result_bytes: what the results will hold.
        decodes_each_epoch: runs whose images are too many for `image.pixel_store_gb`.
        threads: of the CPU, that were used.
        device: that was used.
        measured: whether anything was measured now.
        unknown: runs whose settings a choice decides that is not made yet.
        at_most: whether which jobs run is known only once the manifest is made anew.
    """

    reading: float
    runs: Sequence[RunCost]
    embedding: float
    scoring: float
    starting: float
    cache_bytes: float
    result_bytes: float
    decodes_each_epoch: Sequence[str]
    threads: int
    device: str
    measured: bool
    unknown: Sequence[str]
    at_most: bool = False

    @property
    def seconds(self) -> float:
        """Of all jobs, one after another."""
        return (
            self.reading
            + sum(run.seconds for run in self.runs)
            + self.embedding
            + self.scoring
            + self.starting
        )


def estimate(
    settings: Mapping[str, Any],
    data: DataSeen,
    plan: DryRun,
    device: torch.device,
    threads: int,
) -> WholeCost:
    """Find out what the jobs of a dry run take; what is not known of this machine is measured.

    Args:
        settings: resolved.
        data: what the folder holds.
        plan: the jobs.
        device: to train and embed on.
        threads: of the CPU.

    Raises:
        LookalikeError: a recipe cannot be trained, with its path in front.
    """
    speeds = Speeds(Path(settings["cache"]))
    counts = data.counts
    decoding = DecodingSpeed(settings, data, threads, speeds)
    n_tests = counts["query"] + counts["gallery"]
    runs, unknown, deciding = [], [], []
    embedding = cache_bytes = result_bytes = 0.0
    stores: dict[str, float] = {}
    remakes = remakes_manifest(settings, plan)
    of_runs = {}
    for name in dict.fromkeys([*plan.trained, *_models(plan)]):
        try:
            of_runs[name] = recipe_and_seed(name, settings["recipes"])
        except LookalikeError:
            unknown.append(name)
    trained = {of_runs[name][0] for name in plan.trained if name in of_runs}
    # As a recipe's runs differ by their seed alone, what one of them takes is what each takes.
    of_recipes: dict[str, TrainingCost] = {}
    features = _Features()
    for name, (recipe_name, seed) in of_runs.items():
        recipe = settings["recipes"][recipe_name]
        if is_given(recipe):
            continue
        image = ImageSettings.from_dict(image_settings(settings, recipe_name))
        frozen = TrainedParts.from_setting(recipe["train"]).frozen_backbone
        store = counts["train"] * image.size**2 * 3
        too_large = store > settings["image"]["pixel_store_gb"] * 1e9
        if recipe_name not in of_recipes:
            try:
                of_recipes[recipe_name] = training_cost(
                    recipe,
                    image.to_dict(),
                    data.labels,
                    closed_set=data.closed_set,
                    device=device,
                    threads=threads,
                    speeds=speeds,
                    trains=recipe_name in trained,
                )
            except LookalikeError as error:
                raise LookalikeError(f"recipes.{recipe_name}: {error}") from error
        cost = of_recipes[recipe_name]
        an_image = decoding.seconds(image)
        if name in plan.trained:
            again = too_large and not frozen
            if again:
                deciding.append(name)
            seen = features.of_training(recipe, image, seed, counts["train"]) if frozen else 0
            seconds = cost.seconds(an_image, each_epoch=again, features=seen)
            may_stay = remakes and _is_made(Path(settings["results"]) / name, recipe)
            small = _small(recipe, image, cost)
            runs.append(RunCost(name, cost, seconds, small, image.size, an_image, may_stay))
            if not frozen and not too_large:
                stores[image.pixel_digest] = store
            cache_bytes += seen * cost.width * _FLOAT + 3 * cost.parameters * _FLOAT
            result_bytes += 2 * cost.parameters * _FLOAT
        for split, model in plan.embedded:
            if model.partition("/")[0] == name:
                seen = counts[split]
                if frozen:
                    seen = features.of_split(recipe, image, seed, split, counts[split])
                    embedding += counts[split] * cost.seconds_a_head
                embedding += seen * max(an_image, cost.seconds_an_image)
                cache_bytes += seen * (cost.width or cost.embedding_dim) * _FLOAT
                result_bytes += counts[split] * cost.embedding_dim * _FLOAT
    pixels = sum(decoding.seconds_of_digest(digest) for digest in stores) * counts["train"]
    manifest = decoding.seconds(None) * sum(counts.values())
    jobs = plan.counts
    rankings = jobs.get("metrics", 0) * counts["query"] * max(settings["metrics"]["k"]) * _PLACE
    scores = jobs.get("metrics", 0) * counts["query"] * counts["gallery"]
    return WholeCost(
        reading=manifest * bool(jobs.get("manifest")) + pixels * bool(jobs.get("pixels")),
        runs=runs,
        embedding=embedding,
        scoring=scores / _SCORES_A_SECOND,
        starting=_START * max(0, jobs.get("total", 0) - 1),
        cache_bytes=cache_bytes + sum(stores.values()) * bool(jobs.get("pixels")),
        result_bytes=result_bytes + rankings + n_tests * 100,
        decodes_each_epoch=deciding,
        threads=threads,
        device=device.type,
        measured=speeds.measured > 0,
        unknown=unknown,
        at_most=remakes,
    )


def remakes_manifest(settings: Mapping[str, Any], plan: DryRun) -> bool:
    """Whether a manifest that is there is made anew.

    Then a dry run names all jobs that follow from it, though of these only those run of whose
    images some changed.
    """
    report = Path(settings["results"]) / "data_report.json"
    return bool(plan.counts.get("manifest")) and report.exists()


def _is_made(folder: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether a run's folder has a model, and it was made by these settings."""
    try:
        description = read_json(folder / "model.json")
    except (LookalikeError, OSError, ValueError):
        return False
    noted = description.get("settings") if isinstance(description, dict) else None
    return (folder / "model.safetensors").exists() and noted == as_noted(recipe)


def _models(plan: DryRun) -> list[str]:
    """The runs of which anything is embedded."""
    return [model.partition("/")[0] for _, model in plan.embedded]


def _small(recipe: Mapping[str, Any], image: ImageSettings, cost: TrainingCost) -> float | None:
    """How long the training would take at `SMALL_SIZE` pixels; None where that is no choice."""
    if "backbone" in recipe["model"] or image.size <= SMALL_SIZE:
        return None
    share = (SMALL_SIZE / image.size) ** 2
    smaller = replace(
        cost,
        seconds_a_step=cost.seconds_a_step * share,
        seconds_an_image=cost.seconds_an_image * share,
    )
    return smaller.seconds()


class _Features:
    """Which features of frozen backbones were counted: they are kept for all runs, and heads."""

    def __init__(self) -> None:
        self._counted: set[str] = set()

    def of_training(
        self, recipe: Mapping[str, Any], image: ImageSettings, seed: int, n: int
    ) -> int:
        """How many are computed for a training on so many images, all views counted."""
        backbone = _backbone(recipe, image, seed)
        trains = TrainedParts.from_setting(recipe["train"]).head
        drawn = [[one.name, one.own(recipe["augment"])] for one in changes_seen(recipe)]
        views = range(1, 1 + recipe["views"] * trains)
        new = [self._is_new([*backbone, "train", view, drawn]) for view in views]
        return n * (sum(new) + (trains and self._is_new([*backbone, "train"])))

    def of_split(
        self, recipe: Mapping[str, Any], image: ImageSettings, seed: int, split: str, n: int
    ) -> int:
        """How many are computed to embed the so many images of a split."""
        return n * self._is_new([*_backbone(recipe, image, seed), split])

    def _is_new(self, what: list[Any]) -> bool:
        key = digest_of(what)
        is_new = key not in self._counted
        self._counted.add(key)
        return is_new


def _backbone(recipe: Mapping[str, Any], image: ImageSettings, seed: int) -> list[Any]:
    """What decides the features that a recipe's backbone sees in an image."""
    model = recipe["model"]
    # Without weights that were learnt elsewhere, chance decides.
    drawn = seed if model["weights"] == "none" else None
    return [{name: model[name] for name in _OF_BACKBONE}, drawn, image.digest]
