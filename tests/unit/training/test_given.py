"""Recipes of embeddings from elsewhere: what may be said of them, and where their tables are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lookalike.config import embedded_recipes, resolve
from lookalike.errors import LookalikeError
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.given import given_files, is_given, require_files, runs_of
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CONFIG = read_yaml(ROOT / "config.yaml")
TABLES = {"query": "q.parquet", "gallery": "g.parquet"}


def resolved(recipe: Any, name: str = "dino", **more: Any) -> dict[str, Any]:
    return resolve([CONFIG, {"recipes": {name: recipe}}, more], SCHEMA)


@pytest.mark.parametrize("more", [{}, {"score": "euclidean"}])
def test_no_default_is_filled_in(more: dict[str, str]) -> None:
    recipe = {"embeddings": TABLES} | more
    settings = resolved(recipe)
    assert settings["recipes"].pop("dino") == recipe
    assert settings == resolve([], SCHEMA)
    assert "dino" not in embedded_recipes(resolved(recipe))


@pytest.mark.parametrize("seeds", [[0], [3, 4]])
def test_there_is_one_run_whatever_the_seeds(seeds: list[int]) -> None:
    settings = resolved({"embeddings": TABLES}, runs=["dino", "default"], seeds=seeds)
    assert runs_of("dino", settings) == [("dino", 0)]
    assert runs_of("default", settings) == [("default", seed) for seed in seeds]


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [
        ({"embeddings": TABLES, "epochs": 3}, ["recipes.dino: epochs says how", "leave it out"]),
        (
            {"embeddings": TABLES, "loss": {"name": "triplet"}, "image": {"size": 64}},
            ["recipes.dino: loss, image say how", "leave them out"],
        ),
        ({"embeddings": TABLES, "steps": 9}, ["recipes.dino: steps says how"]),
        ({"embeddings": {"query": "q"}}, ["recipes.dino.embeddings", "'gallery' is missing"]),
        ({"embeddings": {}}, ["'query' is missing", "'gallery' is missing"]),
        ({"embeddings": {**TABLES, "train": "t"}}, ["unknown key 'train'"]),
        ({"embeddings": "q.parquet"}, ["recipes.dino.embeddings", "mapping"]),
        ({"embeddings": None}, ["recipes.dino.embeddings", "mapping"]),
        ({"embeddings": {**TABLES, "query": 3}}, ["recipes.dino.embeddings.query", "quotes"]),
        ({"embeddings": {**TABLES, "query": "{q}"}}, ["embeddings.query", "braces"]),
        ({"embeddings": TABLES, "score": "dot"}, ["recipes.dino.score", "cosine, euclidean"]),
        ({"embeddings": TABLES, "scor": "cosine"}, ["'scor'", "did you mean 'score'"]),
        ({"embedings": TABLES}, ["'embedings'", "did you mean 'embeddings'"]),
    ],
)
def test_what_makes_no_sense_beside_embeddings_is_named(recipe: Any, parts: list[str]) -> None:
    with pytest.raises(LookalikeError) as caught:
        resolved(recipe)
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said


@pytest.mark.parametrize("name", ["default", "original"])
def test_a_recipe_that_ships_cannot_be_given(name: str) -> None:
    with pytest.raises(LookalikeError, match=rf"recipes\.{name}: comes with .* of another name$"):
        resolved({"embeddings": TABLES}, name)


def test_a_table_must_be_a_file_and_begins_in_the_folder_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"embeddings": TABLES}
    assert is_given(recipe)
    assert not is_given({"model": {}})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.parquet").touch()
    (tmp_path / "g.parquet").mkdir()
    with pytest.raises(LookalikeError) as caught:
        require_files("dino", recipe)
    assert str(tmp_path / "g.parquet") in str(caught.value)
    assert "is no file, and recipes.dino.embeddings.gallery names it" in str(caught.value)
    (tmp_path / "g.parquet").rmdir()
    with pytest.raises(LookalikeError, match="there is no such file"):
        require_files("dino", recipe)
    (tmp_path / "g.parquet").touch()
    require_files("dino", recipe)
    with pytest.raises(LookalikeError, match=r"cannot be read|there is no such file"):
        require_files("dino", {"embeddings": {**TABLES, "query": "x" * 300}})
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = {"embeddings": {**TABLES, "query": "~/q.parquet"}}
    assert given_files(at_home) == {"query": tmp_path / "q.parquet", "gallery": Path("g.parquet")}
