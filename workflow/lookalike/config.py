"""Settings: layers laid over each other, defaults filled in from the schema, mistakes explained.

Imports no torch: the Snakefile is parsed anew by every job on a cluster.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

from lookalike.data.spellings import first_few
from lookalike.errors import LookalikeError, SettingsError
from lookalike.models.backbones.images import image_of_backbone
from lookalike.old_names import OLD_NAMES, with_new_names
from lookalike.retrieval.search_settings import search_misfits
from lookalike.setting_faults import TOP, explain_fault, is_finite_number
from lookalike.sweeps.expansion import (
    Sweeps,
    complete,
    expand_points,
    expand_runs,
    faults_in_words,
    set_aside_swept,
)
from lookalike.sweeps.extending import EXTENDS
from lookalike.sweeps.merging import Settings as Settings
from lookalike.sweeps.merging import merge as merge
from lookalike.sweeps.merging import with_length
from lookalike.sweeps.paths import rules_of_recipe
from lookalike.text import did_you_mean, shown
from lookalike.training.combinations import misfits
from lookalike.training.given import is_given, misfits_of_given
from lookalike.training.recipe import TrainedParts

_LARGEST_SEED = 2147483647  # as in the schema


def _filling_validator() -> type[Validator]:
    """A draft 2020-12 validator that puts each missing property's default into the instance."""
    base = jsonschema.Draft202012Validator
    check_properties = base.VALIDATORS["properties"]

    def fill_then_check(
        validator: Any, properties: Mapping[str, Any], instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[jsonschema.ValidationError]:
        if isinstance(instance, dict):
            for name, rule in properties.items():
                if isinstance(rule, Mapping) and "default" in rule:
                    default = copy.deepcopy(rule["default"])
                    value = instance.setdefault(name, default)
                    # A recipe of the user's that has a known name starts from that recipe.
                    if isinstance(default, dict) and isinstance(value, dict) and value != default:
                        instance[name] = merge(_without_other(default, value, rule), value)
        yield from check_properties(validator, properties, instance, schema)

    check_reference = base.VALIDATORS["$ref"]
    known: dict[tuple[str, str], Settings] = {}

    def check_once(
        validator: Any, reference: str, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[jsonschema.ValidationError]:
        """Of the points of a sweep, most parts of a recipe are alike: each is looked at once."""
        # Not as JSON: what is looked at may be no such value.
        key = (reference, repr(instance))
        if key in known:
            instance.update(copy.deepcopy(known[key]))
            return
        faults = False
        for error in check_reference(validator, reference, instance, schema):
            faults = True
            yield error
        if isinstance(instance, dict) and not faults:
            known[key] = copy.deepcopy(instance)

    extend: Any = jsonschema.validators.extend
    # JSON Schema takes 1.0 for an integer; a seed of 1.0 would name another folder than 1.
    types = base.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and is_finite_number(_, value)
    ).redefine("number", is_finite_number)
    filling: type[Validator] = extend(
        base, {"properties": fill_then_check, "$ref": check_once}, type_checker=types
    )
    return filling


def _without_other(below: Settings, above: Mapping[str, Any], rule: Mapping[str, Any]) -> Settings:
    """`below` without the key that another one of `above` takes the place of.

    Of the keys that a rule asks for one by one under `oneOf`, a mapping has one.
    """
    one_of = {key for case in rule.get("oneOf", ()) for key in case["required"]}
    if not one_of & above.keys():
        return below
    return {key: value for key, value in below.items() if key not in one_of}


def _with_length(layer: Mapping[str, Any]) -> Settings:
    """A layer of settings in which a recipe that names `steps` alone is as long as these take.

    Below it there always is a number of epochs, a default at least, which would overrule them.
    """
    recipes = layer.get("recipes")
    if not isinstance(recipes, Mapping):
        return dict(layer)
    timed = {
        name: with_length(recipe)
        if isinstance(recipe, Mapping) and not is_given(recipe)
        else recipe
        for name, recipe in recipes.items()
    }
    return {**layer, "recipes": timed}


def _spelt_out(layer: Mapping[str, Any]) -> Settings:
    """A layer of settings in which what `search` asks for by `true` is a mapping of defaults."""
    search = layer.get("search")
    if not isinstance(search, Mapping):
        return dict(layer)
    asked = {key: {} if value is True else value for key, value in search.items()}
    return {**layer, "search": asked}


def resolve(layers: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> Settings:
    """Merge `layers` (lowest first), fill in defaults, and check the result.

    A recipe that names `steps` but no `epochs` in the same layer gets `epochs: auto` there. One
    that extends another has its settings, too. A swept recipe is expanded into ordinary ones, which
    take its place among `recipes` and `runs`.

    Raises:
        LookalikeError: one line for each mistake, with the path of the key, the value, what is
            allowed and, for an unknown name, the nearest known one.
    """
    return resolve_sweeps(layers, schema)[0]


def resolve_sweeps(
    layers: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]
) -> tuple[Settings, Sweeps]:
    """As `resolve`; and what became of the swept recipes.

    Raises:
        LookalikeError: see `resolve`.
    """
    settings: Settings = {}
    validator = _filling_validator()(schema)
    try:
        for layer in layers:
            for name, rule in schema["properties"].items():
                below, above = settings.get(name), layer.get(name)
                if isinstance(below, dict) and isinstance(above, Mapping):
                    settings[name] = _without_other(below, above, rule)
            settings = merge(settings, _with_length(with_new_names(_spelt_out(layer))))
        if given := _misfits_of_given(settings, schema):
            raise SettingsError(given)
        shipped = schema["properties"]["recipes"]["properties"]
        swept, mistakes = set_aside_swept(settings, shipped)
        errors = list(validator.iter_errors(settings))
        mistakes += [line for error in errors for line in explain_fault(error)]
        wrong = {place for error in errors for place in [*error.absolute_path][1:2]}
        swept, rules = complete(swept, settings), rules_of_recipe(schema)
        check = _check_of_recipe(validator)
        sweeps, points, faults = expand_points(swept, settings, wrong, rules, check)
        mistakes = [*dict.fromkeys([*mistakes, *faults_in_words(faults)])]
    except RecursionError:
        raise LookalikeError("the settings cannot be used: they are nested too deeply") from None
    if not mistakes:
        recipes = settings["recipes"]
        recipes = {k: v for k, v in settings["recipes"].items() if k not in swept} | points
        settings["recipes"] = recipes
        mistakes = [
            f"runs: no recipe is named {run!r}{did_you_mean(run, {**recipes, **swept})}"
            for run in settings["runs"]
            if run not in recipes and run not in swept
        ]
    if not mistakes:
        no_colour = ": {!r} is no colour; give a name such as white, or #rrggbb".format
        mistakes = faults_in_words(
            sweeps.fault(name, f".image.background{no_colour(image['background'])}")
            for name, image in _images(settings)
            if _colour(image["background"]) is None
        )
    if not mistakes:
        mistakes = faults_in_words(
            sweeps.fault(name, f": {misfit}")
            for name, recipe in embedded_recipes(settings).items()
            for misfit in misfits(sweeps.as_run(name, recipe, swept, settings["runs"]))
        )
    if mistakes:
        raise SettingsError(mistakes)
    _bring_images(settings, schema)
    # In one spelling, so that another one of the same makes nothing anew.
    settings["metrics"]["k"] = sorted(set(settings["metrics"]["k"]))
    for _, image in _images(settings):
        image["background"] = _colour(image["background"])
    for folder in ("results", "cache"):
        settings[folder] = os.path.normpath(_at_home(folder, os.path.normpath(settings[folder])))
    _at_home("data.root", settings["data"]["root"])
    if settings["results"] == ".":
        raise SettingsError(
            [
                "results: '.' is the folder that Snakemake was started in; name one inside of it, "
                "such as results"
            ]
        )
    if mistakes := faults_in_words(expand_runs(swept, settings["recipes"], sweeps, _trains)):
        raise SettingsError(mistakes)
    runs = [part for run in settings["runs"] for part in sweeps.runs.get(run, [run])]
    settings["runs"] = [*dict.fromkeys(runs)]
    candidates = [
        candidate.name
        for selection in sweeps.selections.values()
        if {*selection.finals.values()} & {*settings["runs"]}
        for candidate in selection.candidates
    ]
    if mistakes := [*_mistaken_baseline(settings), *search_misfits(settings, candidates)]:
        raise SettingsError(mistakes)
    return settings, sweeps


def notes_on_idle_recipes(
    layers: Sequence[Mapping[str, Any]],
    shipped: Collection[str],
    runs: Collection[str],
    sweeps: Sweeps,
) -> list[str]:
    """A sentence on the recipes of the user's that no run is of, if there are any.

    Args:
        layers: as `resolve_sweeps` took them.
        shipped: the recipes that come with the package.
        runs: the resolved setting.
        sweeps: what became of the swept recipes.
    """
    named = [layer.get("recipes") or {} for layer in layers]
    recipes = [(name, each) for some in named for name, each in some.items()]
    used = {*shipped, *runs, *OLD_NAMES}
    used |= {name for name, parts in sweeps.runs.items() if {*parts} & {*runs}}
    extended = (each.get(EXTENDS) for _, each in recipes if isinstance(each, Mapping))
    used |= {name for name in extended if isinstance(name, str)}
    idle = list(dict.fromkeys(name for name, _ in recipes if name not in used))
    if not idle:
        return []
    return [
        f"no run is of the recipe{'s' * (len(idle) > 1)} {', '.join(idle)}: what is trained and "
        f"scored is what runs names ({first_few(runs)})"
    ]


def _trains(recipe: Mapping[str, Any]) -> bool:
    return TrainedParts.from_setting(recipe["train"]).head


def _check_of_recipe(validator: Any) -> Callable[[Settings], list[str]]:
    """What fills in the defaults of a recipe, in place, and returns what is wrong with it."""

    def check(recipe: Settings) -> list[str]:
        errors = validator.descend(recipe, validator.schema["$defs"]["recipe"])
        lines = [line for error in errors for line in explain_fault(error)]
        return [line.removeprefix(TOP) if line.startswith(TOP) else f".{line}" for line in lines]

    return check


def _mistaken_baseline(settings: Settings) -> Iterator[str]:
    """What is wrong with the recipe that the others are compared with, if anything is."""
    baseline, runs = settings["report"]["baseline"], settings["runs"]
    if baseline and baseline not in runs:
        yield (f"report.baseline: {baseline!r} is not among the runs{did_you_mean(baseline, runs)}")


def embedded_recipes(settings: Mapping[str, Any]) -> Settings:
    """The recipes that embed, by name: all but those whose embeddings come from elsewhere."""
    return {name: each for name, each in settings["recipes"].items() if not is_given(each)}


def _misfits_of_given(settings: Settings, schema: Mapping[str, Any]) -> list[str]:
    """Mistakes beside embeddings from elsewhere, as they were written: no default is in them."""
    recipes, known = settings.get("recipes"), schema["$defs"]["recipe"]["properties"]
    shipped = schema["properties"]["recipes"]["properties"]
    return [
        f"recipes.{name}: {misfit}"
        for name, recipe in (recipes.items() if isinstance(recipes, Mapping) else ())
        if is_given(recipe)
        for misfit in misfits_of_given(recipe, known, ships=name in shipped)
    ]


def _bring_images(settings: Settings, schema: Mapping[str, Any]) -> None:
    """Give each recipe what its backbone brings of image settings, in place.

    What the recipe says stays, and so does what was changed in the common ones: a size that is
    given there is one for all. Mean and deviation belong together, here and there.
    """
    rules, common = schema["$defs"]["image"]["properties"], settings["image"]
    changed = {key for key in common if common[key] != rules[key]["default"]}
    pair = {"mean", "std"}
    for recipe in embedded_recipes(settings).values():
        said = changed | recipe["image"].keys()
        if said & pair:
            said |= pair
        for key, value in (image_of_backbone(recipe["model"]) or {}).items():
            if key not in said:
                recipe["image"][key] = value


def _images(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """The image settings that set a background: the common ones, then by the recipe's name."""
    yield "", settings["image"]
    for name, recipe in embedded_recipes(settings).items():
        if "background" in recipe["image"]:
            yield name, recipe["image"]


def _colour(text: str) -> str | None:
    """A colour in the one spelling that results are known by: white, black or #rrggbb."""
    # For these, Pillow is not imported at each start.
    if not re.fullmatch("white|black|#[0-9a-fA-F]{6}", text):
        from lookalike.images.decoding import rgb_of

        try:
            text = "#{:02x}{:02x}{:02x}".format(*rgb_of(text))
        except LookalikeError:
            return None
    text = text.lower()
    return {"#ffffff": "white", "#000000": "black"}.get(text, text)


def _at_home(place: str, folder: str) -> Path:
    """The folder, with ~ at its beginning spelt out."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise SettingsError(
            [f"{place}: {folder!r} is in the home folder of a user who is not known here"]
        ) from None


def recipe_and_seed(run: str, recipes: Mapping[str, Any]) -> tuple[str, int]:
    """The recipe and the seed of a run such as default.0; the seed need not be in the settings.

    Raises:
        LookalikeError: no recipe has that name (the message tells the nearest), or it is no seed.
    """
    recipe, _, seed = run.rpartition(".")
    if recipe in OLD_NAMES and recipe not in recipes:
        new = OLD_NAMES[recipe]
        raise LookalikeError(
            f"{run}: the recipe {recipe} is called {new} now; ask for {new}.{seed}"
        )
    if recipe not in recipes:
        raise LookalikeError(
            f"{run}: no recipe is named {shown(recipe)}{did_you_mean(recipe, recipes)}"
        )
    if str(int(seed)) != seed or int(seed) > _LARGEST_SEED:
        raise LookalikeError(
            f"{run}: {seed} is no seed: a whole number up to {_LARGEST_SEED}, without leading zeros"
        )
    return recipe, int(seed)


def image_settings(settings: Mapping[str, Any], recipe: str) -> Settings:
    """The `image` settings that `recipe` uses: its own over the common ones.

    Without `pixel_store_gb`: it says what is kept of the images, not what they become.
    """
    common = {key: value for key, value in settings["image"].items() if key != "pixel_store_gb"}
    return merge(common, settings["recipes"][recipe]["image"])
