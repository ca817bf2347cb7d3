"""The settings of one data set's runs: the recipes, and how long each trains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lookalike.config import Settings, image_settings, merge, resolve
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.models.backbones.images import image_of_backbone
from lookalike.storage.yaml_files import read_yaml
from lookalike.text import did_you_mean
from lookalike.training.recipe import Recipe
from lookalike.training.sampling import epoch_batches
from suite.datasets import DataSet

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
RECIPES = Path(__file__).with_name("recipes.yaml")


@dataclass(frozen=True)
class Budget:
    """How long a training is: so many batches of so many images."""

    steps: int
    batch: int

    @property
    def images(self) -> int:
        """Images that the network sees, each as often as it does."""
        return self.steps * self.batch


def read_recipes(path: Path, names: Sequence[str] | None) -> dict[str, Settings]:
    """The recipes of a file, or those asked for (none: []); each is laid over config.yaml's.

    Raises LookalikeError where one asked for is not there.
    """
    recipes: dict[str, Settings] = {name: dict(value or {}) for name, value in _yaml(path).items()}
    for name in names or ():
        if name not in recipes:
            raise LookalikeError(f"{path} has no recipe {name}{did_you_mean(name, recipes)}")
    return {name: recipes[name] for name in (recipes if names is None else names)}


def _yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    return dict(content)


def default_budget(data: DataSet, labels: NDArray[np.int64], steps: int) -> Budget:
    """`steps` batches of the default recipe: as many images as everyone trains on.

    Args:
        data: the data set.
        labels: int64 [n], the classes of its training images.
        steps: of the default recipe.
    """
    recipe = complete({}, data)
    return Budget(steps, len(epoch_batches(labels, recipe.batch, 0, 1)[0]))


def complete(recipe: Mapping[str, Any], data: DataSet, name: str = "default") -> Recipe:
    """A recipe of the suite with every default."""
    settings = resolve([_recipes_layer({name: recipe}, data)], read_yaml(SCHEMA))
    return Recipe.from_dict(settings["recipes"][name])


def images_of(data: DataSet) -> ImageSettings:
    """How an image of the data set becomes the network's input."""
    settings = resolve([_recipes_layer({"default": {}}, data)], read_yaml(SCHEMA))
    return ImageSettings.from_dict(image_settings(settings, "default"))


def settings_of(
    data: DataSet,
    folders: Mapping[str, str],
    recipes: Mapping[str, Settings],
    seeds: Sequence[int],
    labels: NDArray[np.int64],
    budget: Budget,
) -> Settings:
    """What a file for `snakemake --configfile` says.

    Args:
        data: the data set.
        folders: `data`, `results` and `cache`, as the settings name them.
        recipes: by name.
        seeds: each recipe is trained from each.
        labels: int64 [n], the classes of the training images.
        budget: of each recipe that names neither `epochs` nor `steps`.
    """
    timed = {
        name: merge(recipe, _length(recipe, name, data, labels, budget))
        for name, recipe in recipes.items()
    }
    return {
        "data": {"root": folders["data"]},
        "results": folders["results"],
        "cache": folders["cache"],
        "runs": list(recipes),
        "seeds": list(seeds),
        **_recipes_layer(timed, data),
        "report": {"title": f"Suite: {data.name}"},
    }


def write_settings(path: Path, settings: Settings) -> None:
    """Write settings, unless the file says so already."""
    text = yaml.safe_dump(settings, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def training_labels(folder: Path) -> NDArray[np.int64]:
    """The classes of the training images of a folder in the default layout, as numbers."""
    labels = json.loads((folder / "train_image_info.json").read_text(encoding="utf-8"))
    return np.unique(list(labels.values()), return_inverse=True)[1].astype(np.int64)


def _recipes_layer(recipes: Mapping[str, Mapping[str, Any]], data: DataSet) -> Settings:
    """Recipes at the data set's size, unless they or their backbones have one of their own."""
    settings = resolve([{"recipes": recipes}], read_yaml(SCHEMA))["recipes"]
    sized = dict(recipes)
    for name, recipe in recipes.items():
        brought = image_of_backbone(settings[name]["model"]) or {}
        if "size" not in brought and "size" not in recipe.get("image", {}):
            sized[name] = merge(recipe, {"image": {"size": data.size}})
    return {"recipes": sized}


def _length(
    recipe: Settings, name: str, data: DataSet, labels: NDArray[np.int64], budget: Budget
) -> Settings:
    """What to add to a recipe so that it sees the budget's images."""
    if recipe.keys() & {"epochs", "steps"}:
        return {}
    batch = complete(recipe, data, name).batch
    # The first one is full, also of batches that leave a part of one at the end of an epoch.
    size = len(epoch_batches(labels, batch, 0, 1)[0])
    return {"epochs": "auto", "steps": max(1, round(budget.images / size))}
