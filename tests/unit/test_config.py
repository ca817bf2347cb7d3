import copy
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lookalike.config import (
    image_settings,
    merge,
    notes_on_idle_recipes,
    recipe_and_seed,
    resolve,
    resolve_sweeps,
)
from lookalike.errors import LookalikeError
from lookalike.old_names import notes_on_old_names
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.losses.table import LOSSES
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def test_config_yaml_states_the_schema_defaults() -> None:
    config, resolved = read_yaml(ROOT / "config.yaml"), resolve([], SCHEMA)
    assert resolve([config], SCHEMA) == resolved
    # What a backbone brings is not stated, since a recipe's own image would hold for another one.
    for name in ("strong", "finetune"):
        assert config["recipes"][name]["image"] == {}
        config["recipes"][name]["image"] = resolved["recipes"][name]["image"]
    assert config == resolved


def test_what_a_backbone_brings_is_the_caller_s_to_change() -> None:
    expected = resolve([], SCHEMA)
    resolve([], SCHEMA)["recipes"]["strong"]["image"]["mean"].clear()
    assert resolve([], SCHEMA) == expected


@pytest.mark.parametrize("name", ["strong", "finetune"])
def test_another_backbone_of_a_recipe_that_ships_brings_its_own_images(name: str) -> None:
    model = {"name": "timm", "backbone": "vit_small_patch14_dinov2.lvd142m"}
    layers = [read_yaml(ROOT / "config.yaml"), {"recipes": {name: {"model": model}}}]
    image = resolve(layers, SCHEMA)["recipes"][name]["image"]
    assert (image["size"], image["mean"]) == (518, [0.485, 0.456, 0.406])


def test_every_setting_of_config_yaml_has_a_line_of_explanation() -> None:
    lines = (ROOT / "config.yaml").read_text().partition("  strong:")[0].splitlines()
    for line in lines:
        opens_a_section = line.rstrip().endswith(":")
        assert "#" in line or opens_a_section or not line.strip(), line


def test_demo_settings_are_valid_and_small() -> None:
    demo = resolve([read_yaml(ROOT / "config.yaml"), read_yaml(ROOT / "config/demo.yaml")], SCHEMA)
    assert demo["data"]["root"] == "resources/demo"
    assert demo["results"] == "results/demo"
    assert demo["image"]["size"] < 224


def test_a_new_recipe_needs_only_what_it_changes() -> None:
    resolved = resolve([{"recipes": {"mine": {"epochs": 3, "loss": {"beta": 40.0}}}}], SCHEMA)
    default = resolved["recipes"]["default"]
    mine = resolved["recipes"]["mine"]
    assert mine == {**default, "epochs": 3, "loss": {**default["loss"], "beta": 40.0}}


@pytest.mark.parametrize("name", ["default", "original", "strong", "mine"])
@pytest.mark.parametrize(
    ("given", "epochs", "steps"),
    [
        ([{"steps": 500}], "auto", 500),
        ([{"steps": 500, "epochs": 7}], 7, 500),
        ([{"epochs": 7}], 7, None),
        ([{"memory": 0}], None, None),
        # What lies above has the last word.
        ([{"steps": 500}, {"epochs": 7}], 7, 500),
        ([{"epochs": 7}, {"steps": 500}], "auto", 500),
        ([{"steps": 500}, {"steps": 600}], "auto", 600),
        ([{"steps": 500}, {"memory": 0}], "auto", 500),
    ],
    ids=str,
)
@pytest.mark.parametrize("below", [[], [read_yaml(ROOT / "config.yaml")]], ids=["alone", "above"])
def test_a_recipe_that_names_steps_and_no_epochs_is_as_long_as_these_take(
    below: list[dict[str, Any]], given: list[dict[str, Any]], epochs: Any, steps: Any, name: str
) -> None:
    shipped = resolve([], SCHEMA)["recipes"]
    own = shipped.get(name, shipped["default"])
    expected = (epochs or own["epochs"], steps or own["steps"])  # None: as the recipe has it
    layers = [{"recipes": {name: recipe}} for recipe in given]
    settings = resolve([*below, *layers], SCHEMA)
    recipe = settings["recipes"][name]
    assert (recipe["epochs"], recipe["steps"]) == expected
    others = shipped.keys() - {name}
    assert {other: settings["recipes"][other] for other in others} == {
        other: shipped[other] for other in others
    }
    # Once complete, it stays as it is.
    assert resolve([settings], SCHEMA) == settings


def test_steps_count_also_under_a_recipe_s_old_name() -> None:
    resolved = resolve([{"recipes": {"seed": {"steps": 5}}}], SCHEMA)
    assert resolved["recipes"]["original"]["epochs"] == "auto"


def test_changing_one_setting_of_the_original_recipe_keeps_the_rest() -> None:
    resolved = resolve([{"recipes": {"original": {"epochs": 2, "loss": {"margin": 2.0}}}}], SCHEMA)
    original = resolve([], SCHEMA)["recipes"]["original"]
    expected = {**original, "epochs": 2, "loss": {**original["loss"], "margin": 2.0}}
    assert resolved["recipes"]["original"] == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"runs": ["default", "seed"]}, {"runs": ["default", "original"]}),
        ({"runs": ["seed", "original"]}, {"runs": ["original"]}),
        (
            {"recipes": {"seed": {"epochs": 2}}, "runs": ["seed"]},
            {"recipes": {"original": {"epochs": 2}}, "runs": ["original"]},
        ),
        (
            {"recipes": {"seed": {"epochs": 2, "gpus": 2}, "original": {"epochs": 3}}},
            {"recipes": {"original": {"epochs": 3, "gpus": 2}}},
        ),
    ],
)
def test_the_recipe_original_is_understood_by_its_old_name(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    given = copy.deepcopy(old)
    config = read_yaml(ROOT / "config.yaml")
    assert resolve([config, old], SCHEMA) == resolve([config, new], SCHEMA)
    assert old == given
    [note] = notes_on_old_names([config, old])
    assert "seed is called original now" in note
    assert notes_on_old_names([config, new]) == []


@pytest.mark.parametrize(
    "wrong", [{"runs": "seed"}, {"runs": [["seed"]]}, {"recipes": {"seed": 1}}]
)
def test_a_mistake_beside_an_old_name_is_explained(wrong: dict[str, Any]) -> None:
    notes_on_old_names([wrong])
    with pytest.raises(LookalikeError, match="the settings cannot be used"):
        resolve([wrong], SCHEMA)


def test_another_name_starts_from_its_own_defaults() -> None:
    base = read_yaml(ROOT / "config.yaml")
    overlay = {"recipes": {"default": {"loss": {"name": "triplet"}, "optimizer": {"name": "sgd"}}}}
    recipe = resolve([base, overlay], SCHEMA)["recipes"]["default"]
    assert recipe["loss"] == {"name": "triplet", "margin": 0.1, "mining": "semihard"}
    assert recipe["optimizer"]["lr"] == 0.05
    assert recipe["optimizer"]["momentum"] == 0.9


def test_the_same_name_keeps_the_other_keys() -> None:
    base = {"recipes": {"default": {"loss": {"name": "contrastive", "margin": 0.7}}}}
    overlay = {"recipes": {"default": {"loss": {"name": "contrastive", "mean": "all"}}}}
    loss = resolve([base, overlay], SCHEMA)["recipes"]["default"]["loss"]
    assert loss == {"name": "contrastive", "margin": 0.7, "mean": "all", "power": 2}


def test_a_promise_takes_the_place_of_another() -> None:
    below, above = {"precision": 0.9}, {"false_positive": 0.05}
    assert resolve([], SCHEMA)["threshold"] == {"precision": 0.95, "from": "queries"}
    for layers in ([above], [below, above], [above, {}]):
        asked = [{"threshold": layer} if layer else layer for layer in layers]
        assert resolve(asked, SCHEMA)["threshold"] == above | {"from": "queries"}


def test_what_chooses_a_threshold_is_laid_over_what_it_promises() -> None:
    chosen, promised = {"from": "held_out"}, {"false_positive": 0.05}

    def threshold(*layers: Mapping[str, object]) -> object:
        return resolve([{"threshold": layer} for layer in layers], SCHEMA)["threshold"]

    assert threshold(chosen) == {"precision": 0.95, "from": "held_out"}
    assert threshold({}) == {"precision": 0.95, "from": "queries"}
    both = {"false_positive": 0.05, "from": "held_out"}
    assert threshold(promised, chosen) == both
    assert threshold(chosen, promised) == both
    assert threshold({"precision": 0.9, "from": "held_out"}, promised) == both


def test_a_recipe_of_any_name_is_a_recipe() -> None:
    recipes = [{"recipes": {"threshold": settings}} for settings in ({"steps": 7}, {"memory": 90})]
    recipe = resolve(recipes, SCHEMA)["recipes"]["threshold"]
    assert (recipe["steps"], recipe["memory"]) == (7, 90)


def test_folders_have_one_spelling() -> None:
    settings = resolve([{"results": "some//results/", "cache": "~/cache"}], SCHEMA)
    assert settings["results"] == "some/results"
    assert settings["cache"] == str(Path.home() / "cache")


def test_a_recipe_can_have_its_own_image_settings() -> None:
    overlay = {"image": {"size": 96}, "recipes": {"big": {"image": {"size": 128}}}}
    settings = resolve([overlay], SCHEMA)
    assert image_settings(settings, "big")["size"] == 128
    assert image_settings(settings, "default")["size"] == 96
    assert image_settings(settings, "big")["mean"] == settings["image"]["mean"]


def test_only_the_original_recipe_decodes_every_pixel() -> None:
    settings = resolve([{"recipes": {"mine": {}}}], SCHEMA)
    decodes = {name: image_settings(settings, name)["decode"] for name in settings["recipes"]}
    assert decodes.pop("original") == "exact"
    assert set(decodes.values()) == {"fast"}


def test_how_many_pixels_are_kept_is_no_setting_of_an_image() -> None:
    little, much = (resolve([{"image": {"pixel_store_gb": gb}}], SCHEMA) for gb in (0.5, 500))
    assert little["image"]["pixel_store_gb"] == 0.5
    for recipe in little["recipes"]:
        assert image_settings(little, recipe) == image_settings(much, recipe)
        assert "pixel_store_gb" not in image_settings(little, recipe)


@pytest.mark.parametrize(
    ("overlay", "parts"),
    [
        ({"metrics": {"K": [1]}}, ["metrics", "'K'", "'k'"]),
        ({"metric": {}}, ["'metric'", "'metrics'"]),
        ({"image": {"resize": "squish"}}, ["image.resize", "'squish'", "crop", "'squash'"]),
        ({"image": {"size": "large"}}, ["image.size", "'large'", "integer"]),
        ({"image": {"size": 4}}, ["image.size", "4", "16"]),
        ({"image": {"decode": "exakt"}}, ["image.decode", "'exakt'", "fast", "'exact'"]),
        ({"image": {"decod": "fast"}}, ["image", "'decod'", "'decode'"]),
        ({"image": {"pixel_store_gb": 0}}, ["image.pixel_store_gb", "0"]),
        (
            {"recipes": {"default": {"image": {"pixel_store_gb": 5}}}},
            ["recipes.default.image", "'pixel_store_gb'"],
        ),
        ({"seeds": [1.0]}, ["seeds.0", "1.0", "integer"]),
        ({"recipes": {"default": {"optimizer": {"lr": "1e-3"}}}}, ["optimizer.lr", "1.0e-3"]),
        ({"recipes": {"default": {"optimizer": {"lr": float("nan")}}}}, ["lr", "nan"]),
        ({"runs": ["defualt"]}, ["runs", "'defualt'", "'default'"]),
        ({"seeds": [-1]}, ["seeds.0", "-1"]),
        ({"recipes": {"default": {"loss": {"name": "tripet"}}}}, ["loss.name", "'triplet'"]),
        (
            {"recipes": {"default": {"loss": {"name": "triplet", "mean": "all"}}}},
            ["recipes.default.loss", "'mean'"],
        ),
        ({"recipes": {"default": {"epochs": 1.5}}}, ["recipes.default.epochs", "1.5"]),
        *[
            ({"recipes": {"a": {"epochs": wrong}}}, ["recipes.a.epochs", repr(wrong), "auto, or"])
            for wrong in (0, "atuo", "12", None, True, 1.0, [3])
        ],
        ({"recipes": {"a": {"steps": "auto"}}}, ["recipes.a.steps", "'auto'"]),
        ({"recipes": {"a": {"validation": {"keep": "first"}}}}, ["validation.keep", "last, best"]),
        ({"recipes": {"a": {"optimizer": {"average": 1.0}}}}, ["optimizer.average", "1.0"]),
        ({"recipes": {"a b": {}}}, ["a b"]),
        ({"recipes": {1: {}}}, ["recipes", "1", "quotes"]),
        ({"image": {"size": "64"}}, ["image.size", "'64'", "without quotes"]),
        ({"device": "gpu"}, ["device", "'gpu'", "did you mean 'cuda'?"]),
        ({"results": "a\0b"}, ["results", "control characters"]),
        ({"recipes": {"=1+1": {}}}, ["=1+1"]),
        ({"data": {"root": "a{b}"}}, ["data.root", "'a{b}'", "braces"]),
        ({"data": {"root": "~nobody-here/x"}}, ["data.root", "not known here"]),
        ({"data": {"near_duplicates": 13}}, ["data.near_duplicates", "13", "12"]),
        ({"data": {"near_duplicates": True}}, ["data.near_duplicates", "True", "nor false"]),
        ({"data": {"near_duplicates": 4.5}}, ["data.near_duplicates", "4.5", "integer"]),
        ({"data": {"near_duplicates": None}}, ["data.near_duplicates", "None", "integer"]),
        ({"data": {"near_duplicates": "4"}}, ["data.near_duplicates", "'4'", "without quotes"]),
        ({"results": "a<b>c"}, ["results", "'a<b>c'", "angle brackets"]),
        ({"results": "a\n"}, ["results", "control characters"]),
        ({"recipes": {"x\n": {}}}, ["recipes", "x"]),
        ({"recipes": {"-x": {}}}, ["'-x'", "must begin with a letter"]),
        ({"image": {"background": "nope"}}, ["image.background", "'nope'", "#rrggbb"]),
        (
            {"recipes": {"mine": {"image": {"background": "#12"}}}},
            ["recipes.mine.image.background", "'#12'"],
        ),
        ({"data": {"watch_images": "false"}}, ["data.watch_images", "true or false", "--config"]),
        ({"data": "here"}, ["data", "'here'", "mapping"]),
        ({"seeds": 3}, ["seeds", "a list", "[3]"]),
        ({"results": "./made/.."}, ["results", "'.'", "inside of it"]),
        (
            {"threshold": {"precision": 0.9, "false_positive": 0.1}},
            ["threshold", "one of the keys precision, false_positive"],
        ),
        ({"threshold": {"from": "train"}}, ["threshold.from", "'train'", "queries, held_out"]),
        ({"threshold": {"precison": 0.9}}, ["threshold", "'precison'", "'precision'"]),
        ({"threshold": {"precision": 1}}, ["threshold.precision", "1", "0.9999"]),
        ({"threshold": {"false_positive": 0}}, ["threshold.false_positive", "0", "0.0001"]),
        ({"threshold": {"precision": "0.9"}}, ["threshold.precision", "'0.9'"]),
        ({"threshold": 0.9}, ["threshold", "0.9", "mapping"]),
        ({"report": {"baseline": "defualt"}}, ["report.baseline", "did you mean 'default'"]),
        # A recipe that is there, and not run.
        ({"report": {"baseline": "original"}}, ["report.baseline: 'original' is not among the r"]),
        ({"metrics": {"bootstrap": 1}}, ["metrics.bootstrap", "1", "0, or 1000 or more"]),
        ({"metrics": {"bootstrap": -1}}, ["metrics.bootstrap", "-1", "0, or 1000 or more"]),
        ({"metrics": {"bootstrap": 10**30}}, ["metrics.bootstrap", "1000000"]),
        ({"metrics": {"bootstrap": "0"}}, ["metrics.bootstrap", "'0'", "without quotes"]),
    ],
)
def test_a_mistake_is_explained(overlay: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(LookalikeError) as caught:
        resolve([overlay], SCHEMA)
    for part in parts:
        assert part in str(caught.value)


def test_each_unknown_key_has_a_line_of_its_own() -> None:
    loss = {"nam": "triplet", "epsilom": 0.5}
    with pytest.raises(LookalikeError) as caught:
        resolve([{"recipes": {"mine": {"loss": loss}}}], SCHEMA)
    place = "  recipes.mine.loss: unknown key"
    assert str(caught.value).splitlines()[1:] == [
        f"{place} 'nam' of multi_similarity; did you mean 'name'?",
        f"{place} 'epsilom' of multi_similarity; did you mean 'epsilon'?",
    ]


def test_a_settings_file_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("- a\n- b\n")
    with pytest.raises(LookalikeError, match=r"mine\.yaml"):
        read_yaml(path)
    path.write_text("a: [1\n")
    with pytest.raises(LookalikeError, match=r"mine\.yaml"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("seeds: [1]\nruns: [seed]\nseeds: [2]\n", (1, 3)),
        ("a:\n  b: 1\n  c: {d: 1,\n      d: 1}\n", (3, 4)),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(
    tmp_path: Path, text: str, lines: tuple[int, int]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(LookalikeError, match=rf"(?s)line {lines[0]},.*line {lines[1]},") as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    path.write_text("base: &base {a: 1, b: 1}\nmine: {<<: *base, b: 2}\nyours: {'1': 1, 1: 1}\n")
    assert read_yaml(path)["mine"] == {"a": 1, "b": 2}


class Merging:
    """Mappings that merge earlier ones, as YAML and as what they mean."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.meant: dict[str, dict[str, int]] = {}

    def add(self, own: dict[str, int], merged: list[str], as_list: bool) -> None:
        name = f"m{len(self.lines)}"
        parts = [f"{key}: {value}" for key, value in own.items()]
        if merged:
            sources = ", ".join(f"*{source}" for source in merged)
            parts.insert(len(parts) // 2, f"<<: {f'[{sources}]' if as_list else sources}")
        self.lines.append(f"{name}: &{name} {{{', '.join(parts)}}}")
        self.meant[name] = {}
        # "Earlier mappings override keys of later ones", and a mapping's own keys all of them.
        for source in reversed(merged):
            self.meant[name] |= self.meant[source]
        self.meant[name] |= own


@given(st.data())
def test_anchors_are_merged_as_yaml_says(data: st.DataObject) -> None:
    made = Merging()
    keys = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=3)
    for count in range(data.draw(st.integers(1, 6))):
        names = st.sampled_from([f"m{number}" for number in range(count)])
        merged = data.draw(st.lists(names, max_size=3) if count else st.just([]))
        as_list = len(merged) > 1 or data.draw(st.booleans())
        made.add(data.draw(keys), merged, as_list)
    lines = data.draw(st.sampled_from([made.lines, [*made.lines, "again: [*m0, *m0]"]]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text("\n".join(lines))
        read = read_yaml(path)
    read.pop("again", None)
    assert read == made.meant


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1, x: 2}\nb: {<<: *a}",
        "a: &a {x: 1}\nb: {<<: *a, y: 1, y: 2}",
        "a: &a {x: 1}\nb: {<<: *a, <<: *a}",
        "a: {16: 1, 0x10: 2}",
        "a: {yes: 1, true: 2}",
    ],
)
def test_a_key_given_twice_is_refused_beside_merged_ones_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(LookalikeError, match=r"(?s)the key .* is given.*and again"):
        read_yaml(tmp_path / "mine.yaml")


@pytest.mark.parametrize("text", ["a: &a {<<: *a}", "a: {<<: 1}", "a: {<<: [1]}", "a: {[1]: 2}"])
def test_what_cannot_be_merged_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(LookalikeError, match=r"mine\.yaml: cannot be read as YAML"):
        read_yaml(tmp_path / "mine.yaml")


def numbers(value: Any, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where numbers are in settings."""
    if isinstance(value, dict | list):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(inside, *place, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


EVERY_KIND = {
    "recipes": {
        **{name: {"loss": {"name": name}} for name in LOSSES.names},
        "sgd": {"optimizer": {"name": "sgd"}, "batch": {"name": "shuffled"}},
        "small": {"image": {"size": 64}},
    }
}


HOSTILE_NUMBERS: dict[str, float] = {
    "beyond int64": 2**63,
    "beyond uint64": 2**70,
    "far below": -(2**70),
    "beyond float32": 2**1000,
    "beyond float64": 2**5000,
    "largest float": 1e308,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "no number": math.nan,
}


@pytest.mark.parametrize("hostile", HOSTILE_NUMBERS.values(), ids=HOSTILE_NUMBERS.keys())
def test_a_number_that_no_setting_can_have_is_told(hostile: float) -> None:
    settings: Any = resolve([EVERY_KIND], SCHEMA)
    places = list(numbers(settings))
    assert len(places) > 50
    for *inside, key in places:
        mapping: Any = settings
        for part in inside:
            mapping = mapping[part]
        mapping[key] = hostile
    with pytest.raises(LookalikeError) as caught:
        resolve([settings], SCHEMA)
    told = {line.partition(":")[0].strip() for line in str(caught.value).splitlines()}
    assert told >= {".".join(map(str, place)) for place in places}


def test_the_run_of_a_file_is_a_known_recipe_and_a_seed() -> None:
    recipes = resolve([{"recipes": {"a-b": {}}}], SCHEMA)["recipes"]
    assert recipe_and_seed("default.0", recipes) == ("default", 0)
    assert recipe_and_seed("a-b.2147483647", recipes) == ("a-b", 2147483647)
    for run, part in {
        "defualt.0": "no recipe is named defualt; did you mean 'default'?",
        "zzz.0": "known: a-b, default, finetune, original, strong",
        "seed.3": "the recipe seed is called original now; ask for original.3",
        "default.01": "01 is no seed",
        "default.2147483648": "is no seed",
    }.items():
        with pytest.raises(LookalikeError, match=re.escape(part)):
            recipe_and_seed(run, recipes)


values = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


@given(mappings, mappings)
def test_merge_keeps_what_is_not_replaced_and_changes_neither(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    before = yaml.safe_dump([below, above])
    merged = merge(below, above)
    assert yaml.safe_dump([below, above]) == before
    assert merge(below, {}) == below
    assert merge({}, above) == above
    assert merge(merged, above) == merged
    assert set(merged) == set(below) | set(above)


@pytest.mark.parametrize("resamples", [0, 1000, 1_000_000])
def test_intervals_can_be_left_out(resamples: int) -> None:
    assert resolve([{"metrics": {"bootstrap": resamples}}], SCHEMA)["metrics"]["bootstrap"] == (
        resamples
    )


def metrics_of(metrics: dict[str, Any]) -> dict[str, Any]:
    layers = [read_yaml(ROOT / "config.yaml"), {"metrics": metrics}]
    found: dict[str, Any] = resolve(layers, SCHEMA)["metrics"]
    return found


def test_exclude_is_a_word_or_names_attributes() -> None:
    assert metrics_of({})["exclude"] == "same_file"
    named = {"same": ["camera"]}
    assert metrics_of({"exclude": named})["exclude"] == {**named, "also": "same_file"}
    assert metrics_of({"exclude": {}})["exclude"] == {"same": [], "also": "same_file"}
    full = {"same": ["camera", "place"], "also": "none"}
    assert metrics_of({"exclude": full})["exclude"] == full


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({"exclude": "same_fil"}, "metrics.exclude: 'same_fil' is not one of none, same_file"),
        ({"exclude": ["camera"]}, "metrics.exclude: ['camera'] is not one of none, same_file"),
        ({"exclude": {"same": "camera"}}, "metrics.exclude.same: 'camera' must be a list"),
        ({"exclude": {"sam": ["x"]}}, "unknown key 'sam'; did you mean 'same'?"),
        ({"exclude": {"same": ["x"], "also": "same_id"}}, "metrics.exclude.also: 'same_id' is not"),
        ({"within": "category"}, "metrics.within: 'category' must be a list"),
        ({"within": [1]}, "metrics.within.0: 1 must be text"),
    ],
)
def test_what_attributes_cannot_be_named_by_is_told(metrics: dict[str, Any], says: str) -> None:
    with pytest.raises(LookalikeError) as error:
        metrics_of(metrics)
    assert says in str(error.value)


def test_recipes_that_no_run_is_of_are_named() -> None:
    shipped = SCHEMA["properties"]["recipes"]["properties"]

    def notes(layer: dict[str, Any]) -> list[str]:
        settings, sweeps = resolve_sweeps([layer], SCHEMA)
        return notes_on_idle_recipes([layer], shipped, settings["runs"], sweeps)

    recipes = {"mine": {"epochs": 3}, "base": {"epochs": 2}, "on_it": {"extends": "base"}}
    [note] = notes({"recipes": recipes, "runs": ["default", "on_it"]})
    assert "the recipe mine:" in note and "(default and on_it)" in note
    swept = {"many": {"sweep": {"optimizer.lr": [0.1, 0.2]}}}
    assert notes({"recipes": swept, "runs": ["many"]}) == []
    assert notes({"recipes": {"default": {"epochs": 2}}, "runs": ["strong"]}) == []
    assert notes({}) == []
