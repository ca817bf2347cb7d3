"""The resizing inside a graph is the workflow's own, by Pillow, but for rounding."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from PIL import Image

from lookalike.exporting.network_graph import OPSET, PIXELS
from lookalike.exporting.onnx_models import OnnxEmbedder
from lookalike.exporting.resizing_graph import resizing_nodes
from lookalike.images.resizing import RESIZES, load_pixels
from support.pictures import SETTINGS, Pixels, encoded, noise

BACKGROUND = "#204080"
MOST = 2
"""Grey levels: what is halfway between two is rounded twice, up or down."""


def resizing(resize: str, size: int) -> onnx.ModelProto:
    """A model of the resizing alone; its output has the name of embeddings."""
    image = replace(SETTINGS, size=size, resize=resize, background=BACKGROUND)
    nodes, constants = resizing_nodes(image, "images", PIXELS)
    same = onnx.helper.make_node("Identity", [PIXELS], ["embeddings"])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, ["n", *sides, 3])
        for name, sides in (("images", ["height", "width"]), ("embeddings", [size, size]))
    ]
    graph = onnx.helper.make_graph([*nodes, same], "graph", values[:1], values[1:], constants)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10
    )
    onnx.checker.check_model(model, full_check=True)
    return model


@cache
def runtime(resize: str, size: int) -> OnnxEmbedder:
    return OnnxEmbedder(resizing(resize, size))


def by_pillow(pixels: Pixels, resize: str, size: int) -> Pixels:
    image = replace(SETTINGS, size=size, resize=resize, background=BACKGROUND)
    return load_pixels(encoded(Image.fromarray(pixels), "PNG"), image)


def different(resize: str, size: int, width: int, height: int, seed: int = 0) -> Pixels:
    """By how many grey levels each number differs, of an image of noise."""
    pixels = noise(width, height, seed=seed)
    found = runtime(resize, size).embed(pixels[None])
    assert found.shape == (1, size, size, 3)
    assert found.dtype == np.uint8
    differences: Pixels = np.abs(found[0].astype(int) - by_pillow(pixels, resize, size))
    return differences


# Noise moved by a pixel differs by a hundred levels: sizes and places are those of the workflow.
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [24, 17])
def test_images_of_all_shapes_are_resized_as_by_pillow(resize: str, size: int) -> None:
    sides = [1, 2, 5, 16, 17, 23, 24, 25, 48, 63, 300]
    shapes = [(width, height) for width in sides for height in sides]
    shapes += [(700, 9), (9, 701), (1001, 3), (2, 999), (641, 427)]
    found = np.concatenate([different(resize, size, *shape).ravel() for shape in shapes])
    assert found.max() <= MOST
    assert (found > 1).mean() < 1e-3
    assert (found > 0).mean() < 0.08


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(RESIZES),
    st.sampled_from([1, 8, 31]),
    st.integers(1, 600),
    st.integers(1, 600),
    st.integers(0, 5),
)
def test_any_image_is(resize: str, size: int, width: int, height: int, seed: int) -> None:
    assert different(resize, size, width, height, seed).max() <= MOST


@pytest.mark.parametrize("resize", RESIZES)
def test_images_of_one_size_may_come_together(resize: str) -> None:
    images = np.stack([noise(40, 31, seed=seed) for seed in range(3)])
    embedder = runtime(resize, 24)
    alone = np.concatenate([embedder.embed(image[None]) for image in images])
    assert np.array_equal(embedder.embed(images), alone)


@pytest.mark.parametrize("resize", RESIZES)
def test_another_reader_of_the_format_comes_to_the_same(resize: str) -> None:
    reader = ReferenceEvaluator(resizing(resize, 8))
    for width, height in ((19, 13), (5, 30)):
        pixels = noise(width, height)
        (found,) = map(np.asarray, reader.run(None, {"images": pixels[None]}))
        assert np.abs(found[0].astype(int) - by_pillow(pixels, resize, 8)).max() <= MOST
