"""Settings of the search side that cannot work are refused before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.config import resolve
from lookalike.errors import LookalikeError
from lookalike.report.runs import ALWAYS, SHOWN, states_asked_for
from lookalike.retrieval.search_settings import LEARNT_STATES, notes_on_given
from lookalike.storage.yaml_files import read_yaml
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
STATES = [state.name for state in SHOWN if state.on_demand]


def asked(**search: Any) -> dict[str, Any]:
    return dict(resolve([{"search": search}], SCHEMA)["search"])


def test_nothing_is_asked_for_by_default() -> None:
    assert set(asked().values()) == {False}
    assert states_asked_for(asked()) == ALWAYS
    assert set(asked()) == {*STATES, "hubness"}


@pytest.mark.parametrize("name", [*STATES, "hubness"])
def test_true_takes_the_defaults_and_asks_for_one_state(name: str) -> None:
    by_true, by_mapping = asked(**{name: True}), asked(**{name: {}})
    assert by_true == by_mapping
    rules = SCHEMA["properties"]["search"]["properties"][name]["properties"]
    assert by_true[name] == {key: rule["default"] for key, rule in rules.items()}
    names = {state.name for state in states_asked_for(by_true)} - {state.name for state in ALWAYS}
    assert names == {name} - {"hubness"}


def test_what_lies_above_takes_back_what_lies_below() -> None:
    layers: list[dict[str, Any]] = [
        {"search": {"expanded": {"k": 7}}},
        {"search": {"expanded": True}},
    ]
    assert resolve(layers, SCHEMA)["search"]["expanded"] == {"k": 7, "alpha": 3.0}
    assert resolve([*layers, {"search": {"expanded": False}}], SCHEMA)["search"] == asked()


@pytest.mark.parametrize(
    ("search", "more", "message"),
    [
        ({"whitened": {"dim": 129}}, {}, "whitened.dim: 129 is more than the 128 numbers"),
        ({"truncated": {"dim": 200}}, {}, "truncated.dim: 200 is more than the 128 numbers"),
        ({"expanded": True}, {"runs": ["original"]}, "expanded.alpha: .* set alpha: 0"),
        ({"augmented": True}, {"runs": ["original"]}, "augmented.alpha: .* set alpha: 0"),
        ({"hubness": True}, {"metrics": {"k": [1, 5]}}, "hubness.k: 10 is more than the 5 places"),
        ({"reranked": True}, {"data": {"labelled": False}}, "reranked: with data.labelled: false"),
        ({"expanded": 3}, {}, r"expanded: 3 must be true, false or a mapping .* \(k, alpha\)"),
        ({"quantized": {"bits": 4}}, {}, "quantized: unknown key 'bits'"),
        ({"reranked": {"first": 5000}}, {}, "reranked.first: 5000"),
    ],
)
def test_what_cannot_work_is_refused(
    search: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(LookalikeError, match=message):
        resolve([{"search": search, **more}], SCHEMA)


def test_what_a_headless_backbone_gives_is_not_known_before() -> None:
    model = {"name": "efficientnet_lite", "head": "none"}
    layer = {"recipes": {"default": {"model": model}}, "search": {"truncated": {"dim": 500}}}
    assert resolve([layer], SCHEMA)["search"]["truncated"] == {"dim": 500}


def test_every_candidate_of_a_sweep_must_suit_what_is_asked_for() -> None:
    sweep = {"sweep": {"model.embedding_dim": [128, 16]}, "select": {"by": "mAP@R"}}
    layer: dict[str, Any] = {
        "recipes": {"many": sweep},
        "runs": ["many"],
        "search": {"truncated": {"dim": 64}},
    }
    with pytest.raises(LookalikeError, match="64 is more than the 16 numbers"):
        resolve([layer], SCHEMA)
    sweep["sweep"] = {"model.embedding_dim": [128, 64]}
    resolve([layer], SCHEMA)


def test_embeddings_from_elsewhere_that_are_compared_by_distance_have_no_cosine() -> None:
    tables = {"query": "q.parquet", "gallery": "g.parquet"}
    layer: dict[str, Any] = {
        "recipes": {"dino": {"embeddings": tables, "score": "euclidean"}},
        "runs": ["dino"],
        "search": {"expanded": True},
    }
    with pytest.raises(LookalikeError, match="embeddings of dino are compared by distance"):
        resolve([layer], SCHEMA)
    layer["search"] = {"expanded": {"alpha": 0}, "whitened": True}
    resolve([layer], SCHEMA)


def test_what_is_learnt_of_training_images_is_told_not_to_be_had_by_embeddings_from_elsewhere() -> (
    None
):
    learnt = tuple(state.name for state in SHOWN if state.of_training_images)
    assert learnt == LEARNT_STATES
    tables = {"query": "q.parquet", "gallery": "g.parquet"}
    layer: dict[str, Any] = {
        "recipes": {"dino": {"embeddings": tables}},
        "runs": ["default", "dino"],
        "search": {"whitened": True, "quantized": True},
    }
    (note,) = notes_on_given(resolve([layer], SCHEMA))
    assert note.startswith("search.whitened is learnt") and note.endswith("dino is not scored so")
    for other in ({"runs": ["default"]}, {"search": {"quantized": True}}):
        assert notes_on_given(resolve([{**layer, **other}], SCHEMA)) == []
