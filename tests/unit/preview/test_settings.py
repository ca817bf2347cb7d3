"""Settings files are checked as a run would, and each mistake says where it stands."""

import re
from pathlib import Path

import pytest
import yaml

from lookalike.config import notes_on_idle_recipes, resolve, resolve_sweeps
from lookalike.errors import LookalikeError
from lookalike.old_names import notes_on_old_names
from lookalike.preview.settings import checked, runs_in
from lookalike.retrieval.search_settings import notes_on_given
from lookalike.storage.yaml_files import read_yaml
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")

# Settings by what is wrong with them, and the line of each mistake.
MISTAKEN = {
    "unknown key": ("data: {root: d}\nmetrics:\n  k: [1]\n  kk: 2\n", [4]),
    "unknown at the top": ("seeds: [0]\nrecipies: {}\n", [2]),
    "a kind of value": ("image:\n  size: large\n", [2]),
    "no such choice": ("image:\n  background: white\n  resize: stretch\n", [3]),
    "too large": ("seeds:\n  - 0\n  - 99999999999\n", [3]),
    "no such recipe": ("runs:\n  - default\n  - defualt\n", [3]),
    "no colour": ("image:\n  size: 64\n  background: wite\n", [3]),
    "do not go together": (
        "recipes:\n  a:\n    loss: {name: arcface}\n    model: {normalize: false}\nruns: [a]\n",
        [2],
    ),
    "of an old name": ("recipes:\n  seed:\n    epochs: 0\n", [3]),
    "of what is extended": ("recipes:\n  a: {epochs: 1}\n  b:\n    extends: c\n", [4]),
    "swept": ("recipes:\n  a:\n    sweep:\n      lr: [1]\n", [4]),
    "the baseline": ("report:\n  baseline: mine\n", [2]),
    "the folder itself": ("seeds: [0]\nresults: .\n", [2]),
    "no such home": ("cache: ~nobody-at-all/x\n", [1]),
    "embeddings": ("recipes:\n  a:\n    embeddings: {query: q.parquet}\n", [3]),
    "several": ("image:\n  size: 0\nseeds: []\nembed:\n  shards: -1\n", [2, 3, 5]),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_every_mistake_has_its_file_and_line(tmp_path: Path, name: str) -> None:
    text, lines = MISTAKEN[name]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    found = checked([path], ROOT).mistakes
    assert sorted(int(line.split(":")[1]) for line in found) == lines, found
    assert all(line.startswith(f"{path}:") for line in found)
    # What is said of it is what a run says.
    with pytest.raises(LookalikeError) as refused:
        resolve([read_yaml(ROOT / "config.yaml"), yaml.safe_load(text)], SCHEMA)
    assert [line.partition(": ")[2] for line in found] == [
        line.strip() for line in str(refused.value).splitlines()[1:]
    ]


def test_of_several_files_the_last_that_says_it_is_named(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("image: {size: 64}\nrecipes:\n  mine: {epochs: 0}\n")
    second.write_text("# over it\nimage:\n  size: 0\nrecipes:\n  mine: {precision: auto}\n")
    found = checked([first, second], ROOT).mistakes
    assert [line.partition(": ")[0] for line in found] == [f"{second}:3", f"{first}:3"]
    # The other way round, the size is right.
    found = checked([second, first], ROOT).mistakes
    assert [line.partition(": ")[0] for line in found] == [f"{first}:3"]


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: 1\nb: [\n")
    found = checked([tmp_path / "none.yaml", broken], ROOT).mistakes
    assert len(found) == 2
    assert "none.yaml" in found[0]
    assert found[1].startswith(f"{broken}:3: ")


def test_right_settings_are_those_of_a_run_and_idle_recipes_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: [0, 3]\nrecipes:\n  mine: {epochs: 2}\n")
    found = checked([path], ROOT)
    assert found.mistakes == []
    layers = [read_yaml(ROOT / "config.yaml"), read_yaml(path)]
    assert found.settings == resolve(layers, SCHEMA)
    assert runs_in(found.settings) == ["default.0", "default.3"]
    assert [note for note in found.notes if "mine" in note]
    assert found.located("metrics: nothing to find") == "metrics: nothing to find"
    assert found.located("the recipes.mine.epochs say so") == (
        f"{path}:3: the recipes.mine.epochs say so"
    )


def test_what_a_run_notes_is_noted(tmp_path: Path) -> None:
    """Each function by which the workflow notes something of its settings is asked here too."""
    path = tmp_path / "mine.yaml"
    layer = {
        "recipes": {
            "theirs": {"embeddings": {"query": "q.parquet", "gallery": "g.parquet"}},
            "seed": {"epochs": 2},
            "idle": {"epochs": 2},
        },
        "runs": ["default", "theirs"],
        "search": {"whitened": True},
    }
    path.write_text(yaml.safe_dump(layer))
    layers = [read_yaml(ROOT / "config.yaml"), read_yaml(path)]
    settings, sweeps = resolve_sweeps(layers, SCHEMA)
    known = SCHEMA["properties"]["recipes"]["properties"]
    noted = [
        *notes_on_old_names(layers),
        *notes_on_idle_recipes(layers, known, settings["runs"], sweeps),
        *notes_on_given(settings),
    ]
    assert len(noted) >= 3
    assert checked([path], ROOT).notes == noted
    rules = (ROOT / "rules" / "common.smk").read_text()
    by_rules = {*re.findall(r"for note in (notes_\w+)\(", rules)}
    assert by_rules == {"notes_on_old_names", "notes_on_idle_recipes", "notes_on_given"}
