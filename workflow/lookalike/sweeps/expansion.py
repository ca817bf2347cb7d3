"""Expanding swept recipes into ordinary ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lookalike.storage.digests import digest_of
from lookalike.sweeps.extending import SWEEP_KEYS, extended
from lookalike.sweeps.merging import Settings, merge, with_length
from lookalike.sweeps.naming import point_names, value_in_name
from lookalike.sweeps.paths import Rules, nested, setting_at
from lookalike.sweeps.plan import (
    ALL,
    Contender,
    Selection,
    epochs_of,
    eta_of,
    is_scored,
    length_of,
    name_of_part,
    of_first_fold,
    of_fold,
    on_all_classes,
    parts_of_selection,
    shortened,
)
from lookalike.sweeps.points import (
    Point,
    mistakes_of_paths,
    mistakes_of_sweep,
    points_of,
    usable_part,
)
from lookalike.text import did_you_mean
from lookalike.training.given import is_given


class Fault(NamedTuple):
    """A mistake in a recipe.

    Attributes:
        recipe: as the settings name it.
        point: of a sweep, the recipe that it is expanded into; None elsewhere.
        text: the rest of the line: a dot and a key, a colon, and what is wrong.
    """

    recipe: str
    point: str | None
    text: str


@dataclass(frozen=True)
class Sweeps:
    """What became of the swept recipes.

    Attributes:
        sweep_of: the recipe that each point was expanded from.
        points: the values that each point was given, by dotted path.
        selections: how winners are chosen, of each recipe with `select`.
        runs: the recipes that stand for a swept one under `runs`.
    """

    sweep_of: dict[str, str] = field(default_factory=dict)
    points: dict[str, Point] = field(default_factory=dict)
    selections: dict[str, Selection] = field(default_factory=dict)
    runs: dict[str, list[str]] = field(default_factory=dict)

    def chosen_from(self, runs: Collection[str]) -> dict[str, Selection]:
        """The sweeps whose candidates are trained, as a winner of them is among the runs.

        Args:
            runs: recipes, as the resolved settings have them under `runs`.
        """
        return {
            name: selection
            for name, selection in self.selections.items()
            if {*self.runs[name]} & {*runs}
        }

    def trained_recipes(self, runs: Sequence[str]) -> dict[str, str]:
        """Each recipe that is trained as it stands, and the recipe that the settings name it by.

        Not the winners of sweeps: of these the candidates, one of which each of them will be.

        Args:
            runs: recipes, as the resolved settings have them under `runs`.
        """
        chosen_from = self.chosen_from(runs).values()
        finals = {final for selection in chosen_from for final in selection.finals.values()}
        sweeps = self.sweep_of | {run: name for name, some in self.runs.items() for run in some}
        named = {name: sweeps.get(name, name) for name in runs if name not in finals}
        for selection in chosen_from:
            everyone = [candidate.name for candidate in selection.candidates]
            for rung in range(selection.rungs):
                for candidate in selection.entrants(rung, everyone):
                    for recipe in selection.recipes(candidate, rung):
                        named.setdefault(recipe, selection.sweep)
        return named

    def as_run(
        self, name: str, recipe: Settings, swept: Mapping[str, Settings], runs: Collection[str]
    ) -> Settings:
        """A complete recipe, or of a point that is run in folds, as it is in the first of them.

        Args:
            name: of the recipe.
            recipe: its settings.
            swept: the swept recipes, as given.
            runs: as given; a point that is named there is run as it stands.
        """
        folds = swept[self.sweep_of[name]].get("folds", 0) if name in self.sweep_of else 0
        return of_first_fold(recipe, 0 if name in runs and name not in swept else folds)

    def fault(self, recipe: str, text: str) -> Fault:
        """A mistake in a recipe, which may be a point, or in what all have in common."""
        if recipe in self.sweep_of:
            return Fault(self.sweep_of[recipe], recipe, text)
        return Fault(recipe, None, text)


def faults_in_words(faults: Iterable[Fault]) -> list[str]:
    """A line for each mistake; what is wrong with many points of a sweep is told of the first."""
    points: dict[tuple[str, str], list[str | None]] = {}
    for recipe, point, text in faults:
        points.setdefault((recipe, text), []).append(point)
    return [
        f"recipes.{recipe}{_as_points(of)}{text}" if recipe else text.removeprefix(".")
        for (recipe, text), of in points.items()
    ]


def _as_points(points: list[str | None]) -> str:
    first, others = points[0], len(points) - 1
    if first is None:
        return ""
    return f" (as {first}{f' and {others} more of its points' if others else ''})"


def set_aside_swept(
    settings: Settings, shipped: Mapping[str, Mapping[str, Any]]
) -> tuple[Settings, list[str]]:
    """Take what recipes extend into them, and the swept ones out, in place.

    Of a swept recipe the keys that say so stay, for the schema to look at.

    Args:
        settings: not looked at yet.
        shipped: what the schema says of the recipes that ship, by name.

    Returns:
        The swept recipes; and a line for each mistake in what they extend.
    """
    recipes = settings.get("recipes")
    if not isinstance(recipes, Mapping):
        return {}, []
    defaults = {name: rule["default"] for name, rule in shipped.items()}
    recipes, mistakes = extended(recipes, defaults)
    for name, recipe in recipes.items():
        if _is_swept(recipe) and is_given(recipe):
            own = _own_keys(recipe)
            mistakes.append(
                f"recipes.{name}: {', '.join(own)} would train runs, but its embeddings come from "
                f"elsewhere, as those of the recipe that it extends; leave {' and '.join(own)} out"
            )
            recipes[name] = {key: value for key, value in recipe.items() if key not in own}
    # One that ships has its defaults where it is given, which a swept one is no more.
    swept = {
        name: merge(defaults.get(name, {}), recipe)
        for name, recipe in recipes.items()
        if _is_swept(recipe)
    }
    settings["recipes"] = recipes | {name: _own_keys(recipe) for name, recipe in swept.items()}
    return swept, mistakes


def complete(swept: Settings, settings: Settings) -> Settings:
    """The swept recipes of `set_aside_swept`, with what the schema filled into their own keys."""
    return {
        name: {**recipe, **_own_keys(settings["recipes"][name])} for name, recipe in swept.items()
    }


def _own_keys(recipe: Mapping[str, Any]) -> Settings:
    return {key: recipe[key] for key in SWEEP_KEYS if key in recipe}


def _is_swept(recipe: Any) -> bool:
    return isinstance(recipe, Mapping) and not recipe.keys().isdisjoint(SWEEP_KEYS)


def expand_points(
    swept: Mapping[str, Settings],
    settings: Mapping[str, Any],
    wrong: Collection[Any],
    rules: Rules,
    check: Callable[[Settings], list[str]],
) -> tuple[Sweeps, Settings, list[Fault]]:
    """Expand swept recipes into their points.

    Args:
        swept: these recipes.
        settings: all settings, where the swept recipes are set aside.
        wrong: names of recipes that the schema has something against.
        rules: of `rules_of_recipe`.
        check: fills in a recipe's defaults, in place; returns what is wrong with it, see `Fault`.

    Returns:
        What became of them, without selections and runs; the complete settings of each point; and
        mistakes.
    """
    sweeps, complete, faults = Sweeps(), Settings(), list[Fault]()
    names = {*settings["recipes"]} if swept else set[str]()
    for name, recipe in swept.items():
        if name in wrong:
            found = mistakes_of_paths(recipe, rules)
        else:
            found = [*mistakes_of_sweep(recipe, rules), *_mistakes_of_selection(recipe, rules)]
        faults += [Fault(name, None, f".{text}") for text in found]
        if name in wrong:
            continue
        if found:
            # What can be told of its points all the same.
            recipe = {**recipe, "sweep": usable_part(recipe, rules)}
            recipe.pop("sample", None)
        base = {key: value for key, value in recipe.items() if key not in SWEEP_KEYS}
        points = points_of(recipe, rules)
        # Of folds alone there is one point, which needs no other name.
        called = point_names(name, points, names) if recipe.get("sweep") else [name]
        names.update(called)
        for one, point in zip(called, points, strict=True):
            sweeps.sweep_of[one], sweeps.points[one] = name, point
            complete[one] = merge(base, with_length(_over(point)))
            faults += [sweeps.fault(one, text) for text in check(complete[one])]
    return sweeps, complete, faults


def _over(point: Point) -> Settings:
    """A point's values as settings; of a mapping and a part of it, the part counts."""
    settings = Settings()
    for path in sorted(point, key=lambda path: path.count(".")):
        settings = merge(settings, nested(path, point[path]))
    return settings


def _mistakes_of_selection(recipe: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    several = "sweep" in recipe or "folds" in recipe
    for key, needed in (("select", "sweep"), ("budget", "select")):
        if key in recipe and not (several if key == "select" else needed in recipe):
            yield f"{key}: there is no `{needed}` that it could speak of"
    per = recipe.get("select", {}).get("per")
    if per is not None and per not in rules:
        yield (
            f"select.per: a recipe has no setting {per}{did_you_mean(per, rules, list_known=False)}"
        )


def expand_runs(
    recipes: Mapping[str, Mapping[str, Any]],
    settings: dict[str, Settings],
    sweeps: Sweeps,
    trains: Callable[[Settings], bool],
) -> list[Fault]:
    """Expand points into what is run of them: folds, shorter trainings, and the winners' own.

    Args:
        recipes: the swept ones, as given.
        settings: complete, of all recipes by name; what is expanded is added.
        sweeps: of `expand_points`; selections and runs are added.
        trains: whether a complete recipe trains anything.

    Returns:
        Mistakes.
    """
    faults = list[Fault]()
    for sweep, recipe in recipes.items():
        points = [name for name, of in sweeps.sweep_of.items() if of == sweep]
        folds = recipe.get("folds", 0)
        parts, runs = Settings(), points
        if "select" in recipe:
            of_sweep = _selection(sweep, recipe, points, settings, sweeps, trains, faults)
            if of_sweep is None:
                continue
            sweeps.selections[sweep] = of_sweep
            runs = [*of_sweep.finals.values()]
            first = {candidate.group: candidate.name for candidate in reversed(of_sweep.candidates)}
            # Which settings a winner has is known once it is chosen; until then, some candidate's.
            parts = dict(parts_of_selection(of_sweep, settings)) | {
                final: on_all_classes(settings[first[group]])
                for group, final in of_sweep.finals.items()
            }
        elif folds:
            parts = {
                name_of_part(name, fold=fold): of_fold(settings[name], fold, folds)
                for name in points
                for fold in range(folds)
            }
            runs = [*parts]
        for name in sorted((parts.keys() & settings.keys()) - {*points}):
            text = f": is expanded into {name}, and another recipe is called so; rename one of them"
            faults.append(Fault(sweep, None, text))
        sweeps.runs[sweep] = runs
        settings.update(parts)
    return faults


def _selection(
    sweep: str,
    recipe: Mapping[str, Any],
    points: list[str],
    settings: Mapping[str, Settings],
    sweeps: Sweeps,
    trains: Callable[[Settings], bool],
    faults: list[Fault],
) -> Selection | None:
    """How a sweep's winners are chosen; None where that cannot be, which is added to `faults`."""
    folds, select = recipe.get("folds", 0), recipe["select"]
    per, known, candidates = select.get("per"), len(faults), list[Contender]()
    groups: dict[str, Any] = {}
    for name in points:
        one = settings[name]
        if not trains(one):
            text = ".select: chooses by scores of a training, and with train: none there is none"
            faults.append(Fault(sweep, name, text))
        if not folds and not one["validation"]["classes"]:
            text = (
                ".select: chooses by scores of held-out training images, and validation.classes: 0 "
                "holds none out; set folds: 4, say, or validation.classes"
            )
            faults.append(Fault(sweep, name, text))
        try:
            value = setting_at(one, per) if per else ALL
        except KeyError:
            faults.append(Fault(sweep, name, f".select.per: there is no setting {per}"))
            continue
        group = value_in_name(value)
        if groups.setdefault(group, value) != value:  # two texts may be spelt alike in a name
            group = f"{group}-{digest_of(value, length=8)}"
            groups[group] = value
        candidates.append(Contender(name, sweeps.points[name], group))
    if len(faults) > known:
        return None
    names = [sweep] if per is None else [f"{sweep}-{group}" for group in groups]
    # A sweep over the setting that tells the groups apart has points of these very names.
    names = [f"{name}-best" if name in settings and per else name for name in names]
    selection = Selection(
        sweep,
        select["by"],
        per,
        tuple(candidates),
        folds,
        eta_of(recipe.get("budget")),
        min(length_of(settings[candidate.name]) for candidate in candidates),
        dict(zip(groups, names, strict=True)),
    )
    faults += _without_scores(selection, settings, sweeps)
    return selection if len(faults) == known else None


def _without_scores(
    selection: Selection, settings: Mapping[str, Settings], sweeps: Sweeps
) -> Iterator[Fault]:
    """Candidates that end before their held-out images are scored, in the first of their rungs."""
    for one in selection.candidates:
        share = selection.share(selection.rungs - selection.rungs_of(one.group))
        trained = of_first_fold(shortened(settings[one.name], share), selection.folds)
        if not is_scored(trained):
            every, n = trained["validation"]["every"], epochs_of(trained)
            yield sweeps.fault(
                one.name,
                f".validation.every: {every} is more than the {n} "
                f"{'epoch' if n == 1 else 'epochs'} that candidates are trained for"
                f"{' at first (budget)' if share > 1 else ''}, so there would be no score to "
                f"select by; set it to {n} or less",
            )
