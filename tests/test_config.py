from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lookalike.config import image_settings, merge, read_yaml, resolve
from lookalike.errors import LookalikeError

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def test_config_yaml_states_the_schema_defaults() -> None:
    assert read_yaml(ROOT / "config.yaml") == resolve([], SCHEMA)


def test_every_setting_of_config_yaml_has_a_line_of_explanation() -> None:
    lines = (ROOT / "config.yaml").read_text().partition("  seed:")[0].splitlines()
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


def test_changing_one_setting_of_the_seed_recipe_keeps_the_rest() -> None:
    resolved = resolve([{"recipes": {"seed": {"epochs": 2, "loss": {"margin": 2.0}}}}], SCHEMA)
    seed = resolve([], SCHEMA)["recipes"]["seed"]
    expected = {**seed, "epochs": 2, "loss": {**seed["loss"], "margin": 2.0}}
    assert resolved["recipes"]["seed"] == expected


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
    assert loss == {"name": "contrastive", "margin": 0.7, "mean": "all"}


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


def test_only_the_seed_recipe_decodes_every_pixel() -> None:
    settings = resolve([{"recipes": {"mine": {}}}], SCHEMA)
    decodes = {name: image_settings(settings, name)["decode"] for name in settings["recipes"]}
    assert decodes == {"default": "fast", "mine": "fast", "seed": "exact"}


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
        ({"recipes": {"a b": {}}}, ["a b"]),
        ({"recipes": {1: {}}}, ["recipes", "1", "quotes"]),
        ({"image": {"size": "64"}}, ["image.size", "'64'", "without quotes"]),
        ({"device": "gpu"}, ["device", "'gpu'", "did you mean 'cuda'?"]),
        ({"results": "a\0b"}, ["results", "control characters"]),
        ({"recipes": {"=1+1": {}}}, ["=1+1"]),
        ({"data": {"root": "a{b}"}}, ["data.root", "'a{b}'", "braces"]),
        ({"data": {"root": "~nobody-here/x"}}, ["data.root", "not known here"]),
        ({"data": {"near_duplicates": 13}}, ["data.near_duplicates", "13", "12"]),
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
