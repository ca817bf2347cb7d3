"""Each variant is one record, and what else speaks of variants is held to the records."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lookalike.config import resolve
from lookalike.errors import LookalikeError
from lookalike.models.heads.table import HEADS
from lookalike.models.record import Network
from lookalike.models.table import MODELS
from lookalike.provenance import CARRIERS, SHAPING, software
from lookalike.records import Chosen, Variant
from lookalike.storage.yaml_files import read_yaml
from lookalike.training import variants
from lookalike.training.augmentations.table import AUGMENTATIONS, CHAIN
from lookalike.training.losses.building import build_loss
from lookalike.training.losses.table import LOSSES, MEMORY
from lookalike.training.miners.table import MINERS
from lookalike.training.optimizers.table import ALIKE, OPTIMIZERS
from lookalike.training.schedules.table import SCHEDULES
from support.variant_tables import (
    KINDS,
    PAGE,
    ROOT,
    Kind,
    page,
    schema,
    schema_of,
    schema_of_augmentations,
    settings_of,
)

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
PACKAGE = ROOT / "workflow" / "lookalike"
EVERY: list[Variant] = [
    *HEADS,
    *(variant for kind in KINDS for variant in kind.table if variant.builder),
    *SCHEDULES,
    *AUGMENTATIONS,
    CHAIN,
    MEMORY,
]
OF_EVERY_TRAINING = {"torch", "numpy"}
KINDS_OF_FILES = (
    "models",
    "models/heads",
    *(
        f"training/{kind}"
        for kind in ("augmentations", "losses", "miners", "optimizers", "samplers", "schedules")
    ),
)
OF_VARIANTS = {"kornia", "pytorch_metric_learning", "timm"}


def expanded(rule: Any) -> Any:
    """A part of the schema with what it refers to written out."""
    if not isinstance(rule, dict):
        return [expanded(part) for part in rule] if isinstance(rule, list) else rule
    found = {key: expanded(value) for key, value in rule.items() if key != "$ref"}
    if reference := rule.get("$ref"):
        found = expanded(SCHEMA["$defs"][reference.rpartition("/")[2]]) | found
    return found


@pytest.mark.parametrize("kind", KINDS, ids=[kind.key for kind in KINDS])
def test_the_schema_says_what_the_records_say(kind: Kind) -> None:
    assert expanded(SCHEMA["$defs"][kind.key]) == schema_of(kind)


def test_the_schema_is_written_as_it_is_made_of_the_records() -> None:
    path = ROOT / "workflow" / "schemas" / "config.schema.yaml"
    assert path.read_text(encoding="utf-8") == schema(), "run make docs"


def test_the_schema_of_augmentations_says_what_the_records_say() -> None:
    found = expanded(SCHEMA["$defs"]["augment"]["properties"])
    assert found == schema_of_augmentations()


def test_the_tables_in_the_settings_page_are_made_of_the_records() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make docs"


def test_config_yaml_names_all_that_there_is_to_choose_from() -> None:
    lines = (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()
    for kind in KINDS:
        at = next(number for number, line in enumerate(lines) if line.strip() == f"{kind.key}:")
        for name in kind.table.names:
            assert name in lines[at + 1]


@pytest.mark.parametrize("variant", EVERY, ids=lambda variant: variant.builder)
def test_a_builder_takes_the_settings_of_its_record(variant: Variant) -> None:
    builder = variant.load()
    parameters = inspect.signature(builder).parameters.values()
    types = typing.get_type_hints(builder)
    asked = {one.name: types[one.name] for one in parameters if one.kind is one.KEYWORD_ONLY}
    left_out: tuple[str, ...] = ALIKE if variant in [*OPTIMIZERS] else ()
    if isinstance(variant, Network) and variant.is_backbone:
        left_out = ("head", "embedding_dim", "normalize")  # matters of what stands on it
    own = variant.own({setting.name: setting.default for setting in variant.settings})
    kinds = {setting.name: setting.type for setting in variant.settings}
    assert asked == {name: kinds[name] for name in own if name not in left_out}
    for setting in settings_of(variant):
        jsonschema.validate(setting.default, setting.schema())


def imports_of(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


def reached_from(module: str) -> set[str]:
    """All that a module of the package imports, directly or through others of it."""
    found, todo = set[str](), [module]
    while todo:
        path = PACKAGE.joinpath(*todo.pop().split(".")[1:]).with_suffix(".py")
        new = imports_of(path) - found if path.is_file() else set()
        found |= new
        todo += [name for name in new if name.startswith("lookalike.")]
    return found


@pytest.mark.parametrize("variant", EVERY, ids=lambda variant: variant.builder)
def test_a_record_names_the_libraries_that_its_module_imports(variant: Variant) -> None:
    roots = {name.partition(".")[0] for name in reached_from(variant.module)}
    others = roots - sys.stdlib_module_names - OF_EVERY_TRAINING - CARRIERS - {"lookalike"}
    # Another library is decided about there.
    assert {SHAPING[name] for name in others} == set(variant.libraries)


@pytest.mark.parametrize("step", ["train", "embed", "pixels", "report"])
def test_no_step_imports_a_variant(step: str) -> None:
    found = reached_from(f"lookalike.steps.{step}")
    assert "lookalike.records" in found or step == "pixels"
    assert found.isdisjoint(variant.module for variant in EVERY)
    assert not {name.partition(".")[0] for name in found} & OF_VARIANTS


def test_every_file_of_a_variant_is_named() -> None:
    named = {variant.module for variant in EVERY}
    of_all = {"__init__", "building", "files", "packing", "record", "settings", "table"}
    of_losses = {
        "additive_angle",
        "distances",
        "library_distance",
        "mined",
        "of_library",
        "pairs",
        "value",
    }
    for kind in KINDS_OF_FILES:
        for path in (PACKAGE / kind).glob("*.py"):
            if path.stem not in of_all | of_losses:
                assert f"lookalike.{kind.replace('/', '.')}.{path.stem}" in named


def test_tables_hold_records_and_no_code() -> None:
    for kind in KINDS_OF_FILES:
        tree = ast.parse((PACKAGE / kind / "table.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not isinstance(node, ast.ClassDef | ast.Lambda | ast.If | ast.For)
            # What makes settings is no code of a variant: their values are params of their own.
            if isinstance(node, ast.FunctionDef):
                assert "Setting" in ast.unparse(node.returns or node)


def test_tables_import_nothing_heavy_and_no_variant() -> None:
    program = "import sys, lookalike.training.variants; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "lookalike.training.losses.table" in loaded
    assert loaded.isdisjoint({*OF_EVERY_TRAINING, *OF_VARIANTS, "pandas", "pyarrow", "PIL"})
    assert loaded.isdisjoint(variant.module for variant in EVERY)


def libraries_of(modules: list[str]) -> list[str]:
    """Distributions that a training depends on by these modules, beside those of every training."""
    script = ROOT / "workflow" / "scripts" / "train.py"
    return sorted(software("train", script, modules).keys() - software("train", script).keys())


def test_a_recipe_names_the_modules_and_libraries_of_its_variants() -> None:
    plain = dict.fromkeys(("flip", "aspect", "brightness", "contrast", "saturation"), 0.0)
    mine = {
        "loss": {"name": "triplet"},
        "optimizer": {"name": "sgd", "schedule": "constant"},
        "batch": {"name": "shuffled"},
        "augment": {**plain, "scale": 1.0, "rotate": 5.0},
    }
    recipe = resolve([{"recipes": {"mine": mine}}], SCHEMA)["recipes"]["mine"]
    assert variants.modules_of(recipe) == [
        "lookalike.models.cnn4",
        "lookalike.training.augmentations.chain",
        "lookalike.training.augmentations.rotation",
        "lookalike.training.losses.triplet",
        "lookalike.training.miners.triplet_margin",
        "lookalike.training.optimizers.sgd",
        "lookalike.training.samplers.shuffled",
        "lookalike.training.schedules.constant",
    ]
    assert libraries_of(variants.modules_of(recipe)) == ["kornia", "pytorch-metric-learning"]
    recipe["augment"]["rotate"] = 0.0
    recipe["loss"] = {"name": "ntxent", "temperature": 0.1}
    assert libraries_of(variants.modules_of(recipe)) == []
    # A miner and a memory bring their own.
    for changes in ({"miner": {"name": "hdc", "share": 0.5}}, {"memory": 64}):
        modules = variants.modules_of({**recipe, **changes})
        assert libraries_of(modules) == ["pytorch-metric-learning"]
        (name,) = {*modules} - {*variants.modules_of(recipe)}
        assert name in (MINERS["hdc"].module, MEMORY.module)
    recipe["loss"] = {"name": "triplet", "margin": 0.1, "mining": "all"}
    recipe["miner"] = {"name": "none"}
    assert not [name for name in variants.modules_of(recipe) if "miners" in name]
    recipe["loss"] = {"name": "ntxent", "temperature": 0.1}
    assert not [name for name in variants.modules_of(recipe) if "augmentations" in name]
    assert variants.modules_of_network(recipe["model"]) == ["lookalike.models.cnn4"]
    assert libraries_of(variants.modules_of_network(recipe["model"])) == []


@pytest.mark.parametrize("loss", LOSSES.names)
def test_the_example_of_each_loss(loss: str) -> None:
    done = doctest.testmod(importlib.import_module(LOSSES[loss].module))
    assert done.attempted > 0
    assert done.failed == 0


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(LookalikeError, match=r"loss\.name: there is no loss 'tripet'; did you"):
        build_loss(Chosen("tripet", {}), 2, 2)
    with pytest.raises(LookalikeError, match=r"there is no network 'x'; known: .*cnn4"):
        variants.modules_of_network({"name": "x"})


def test_what_a_record_says_of_building_is_counted_and_where_its_code_is_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = {"loss": {"name": "triplet"}, "augment": {"flip": 0.5}}
    recipe = resolve([{"recipes": {"mine": mine}}], SCHEMA)["recipes"]
    plain = variants.built_by(recipe["mine"])
    of_network = variants.network_built_by(recipe["mine"]["model"])

    def built(table: Any, record: Variant) -> Any:
        with monkeypatch.context() as patch:
            patch.setitem(table._variants, record.name, record)
            return variants.built_by(recipe["mine"])

    triplet = LOSSES["triplet"]
    moved = triplet.builder.replace("losses.triplet", "elsewhere")
    assert built(LOSSES, replace(triplet, builder=moved, remedy="another")) == plain
    assert built(LOSSES, replace(triplet, builder=f"{triplet.module}:other")) != plain
    assert built(LOSSES, replace(triplet, miner=None)) != plain
    assert built(LOSSES, replace(triplet, settings=())) != plain
    # The random changes to an image come in the order of their table.
    with monkeypatch.context() as patch:
        backwards = dict(reversed(AUGMENTATIONS._variants.items()))
        patch.setattr(AUGMENTATIONS, "_variants", backwards)
        assert variants.built_by(recipe["mine"]) != plain
    cnn4 = MODELS["cnn4"]
    with monkeypatch.context() as patch:
        patch.setitem(MODELS._variants, "cnn4", replace(cnn4, builder=f"{cnn4.module}:other"))
        assert variants.network_built_by(recipe["mine"]["model"]) != of_network
