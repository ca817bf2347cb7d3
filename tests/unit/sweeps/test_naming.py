"""Names of a sweep's points."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.report.runs import RUN_PATTERN
from lookalike.sweeps.naming import LONGEST_NAME, point_names, short_paths


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ({"optimizer.lr": 0.001, "loss.margin": 0.4}, "ms-lr0.001-margin0.4"),
        ({"loss.name": "triplet", "optimizer.lr": 3e-05}, "ms-triplet-lr3e-05"),
        ({"loss": {"name": "triplet", "margin": 0.2}}, "ms-triplet-margin0.2"),
        ({"loss.margin": 0.1, "miner.margin": 1}, "ms-loss.margin0.1-miner.margin1"),
        ({"optimizer.schedule": "cosine"}, "ms-schedule_cosine"),
        ({"model.batch_norm": False, "loss.base": -0.1}, "ms-batch_norm_false-base-0.1"),
        ({"train": {"unfreeze": 2}}, "ms-train_unfreeze2"),
        ({"model.backbone": "hf/vit:b/16"}, "ms-backbone_hf_vit_b_16"),
        ({"image.mean": [0.5, 0.5, 0.4]}, "ms-mean_0.5_0.5_0.4"),
    ],
)
def test_a_name_tells_what_a_point_has(point: dict[str, Any], name: str) -> None:
    assert point_names("ms", [point]) == [name]


def test_paths_with_one_last_word_get_what_tells_them_apart() -> None:
    paths = ["a.b.name", "a.c.name", "lr", "b.name", "x.lr"]
    assert short_paths(paths) == ["a.b.name", "c.name", "lr", "b.name", "x.lr"]


values = st.one_of(
    st.booleans(),
    st.integers(-3, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.just(80 * "x"),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["name", "a", "b"]), st.text(max_size=4), max_size=2),
)


@given(
    st.lists(st.sampled_from(["a.b", "c.b", "name", "x.name", "lr"]), min_size=1, unique=True),
    st.data(),
)
def test_no_two_names_are_alike_and_each_is_a_folder_s(
    paths: list[str], data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(st.tuples(*[values] * len(paths)), max_size=5))
    points = [dict(zip(paths, point, strict=True)) for point in drawn]
    # Values that are equal to Python are refused by the schema.
    points = [p for i, p in enumerate(points) if p not in points[:i]]
    taken = ["ms-lr1", "MS-true"]
    names = point_names("ms", points, taken)
    assert len({name.casefold() for name in [*names, *taken]}) == len(points) + 2
    for name in names:
        assert re.fullmatch(RUN_PATTERN, f"{name}.0") and len(name) <= LONGEST_NAME
    # None depends on the order of the others.
    assert point_names("ms", points[::-1], taken) == names[::-1]
