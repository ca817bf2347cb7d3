"""The resizing of images as nodes of an ONNX graph: what `lookalike.images.resizing` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lookalike.images.decoding import rgb_of
from lookalike.images.resizing import ImageSettings

_PREFIX = "resizing/"
# A strip that is cropped is cut to so many times its shorter side before it is resized.
_LONGEST_STRIP = 16


class _Nodes:
    """Nodes and constants as they come; each method adds some and returns the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{_PREFIX}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        name = f"{_PREFIX}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def whole(self, *numbers: int) -> str:
        """A vector of whole numbers."""
        return self.constant(np.array(numbers, np.int64))

    def joined(self, *vectors: str) -> str:
        return self.add("Concat", *vectors, axis=0)

    def rounded(self, values: str) -> str:
        """To the nearest whole number, halves up: as Pillow rounds grey levels."""
        half = self.constant(np.array(0.5, np.float32))
        return self.add("Floor", self.add("Add", values, half))


def resizing_nodes(
    settings: ImageSettings, images: str, pixels: str
) -> tuple[Sequence[onnx.NodeProto], Sequence[onnx.TensorProto]]:
    """Nodes, and the constants that they use, which resize decoded images.

    The arithmetic of sizes is that of `lookalike.images.resizing`, so that each image has exactly
    the size and place that it has there. Colours are resized in float32, across and then down, and
    rounded to whole grey levels after each, as Pillow does with fixed-point numbers.

    Args:
        settings: how images are resized; `decode` says nothing of images that are decoded.
        images: name of the input, uint8 [n, height, width, 3].
        pixels: name of the output, uint8 [n, size, size, 3].
    """
    made = _Nodes()
    planes = made.add("Transpose", images, perm=[0, 3, 1, 2])
    planes = made.add("Cast", planes, to=TensorProto.FLOAT)
    side = settings.size
    if settings.resize == "squash":
        planes = _resized(made, planes, made.whole(side, side))
    elif settings.resize == "crop":
        planes = _cropped(made, planes, side)
    else:
        planes = _padded(made, planes, side, settings.background)
    squares = made.add("Cast", planes, to=TensorProto.UINT8)
    made.nodes.append(
        helper.make_node("Transpose", [squares], [pixels], f"{_PREFIX}pixels", perm=[0, 2, 3, 1])
    )
    return made.nodes, made.constants


def _sides(made: _Nodes, planes: str) -> str:
    """Height and width of planes [n, 3, height, width]: int64 [2]."""
    return made.add("Shape", planes, start=2, end=4)


def _resized(made: _Nodes, planes: str, sides: str) -> str:
    """Planes resized to a height and width: int64 [2]."""
    for axis in (3, 2):
        place = made.whole(axis - 2)
        length = made.add("Gather", sides, place, axis=0)
        before = made.add("Shape", planes, start=0, end=axis)
        after = made.add("Shape", planes, start=axis + 1)
        size = made.joined(before, length, after) if axis == 2 else made.joined(before, length)
        planes = made.rounded(
            made.add(
                "Resize",
                planes,
                "",
                "",
                size,
                mode="linear",
                antialias=1,
                exclude_outside=1,
                coordinate_transformation_mode="half_pixel",
            )
        )
    return planes


def _cropped(made: _Nodes, planes: str, side: int) -> str:
    """The shorter side to `side`, and of the longer one its middle."""
    sides = _sides(made, planes)
    shorter = made.add("ReduceMin", sides, keepdims=1)
    longest = made.add("Mul", shorter, made.whole(_LONGEST_STRIP))
    # Of a strip of extreme shape only the middle is resized.
    over = made.add("Max", made.add("Sub", sides, longest), made.whole(0))
    planes = _middle(made, planes, made.add("Div", over, made.whole(2)), longest)
    sides = _sides(made, planes)
    large = made.add("Div", made.add("Mul", sides, made.whole(side)), shorter)
    planes = _resized(made, planes, large)
    # Half of what is over, a half to the even number: as Python and so torchvision rounds.
    over = made.add("Sub", large, made.whole(side))
    halves = made.add("Mul", made.add("Cast", over, to=TensorProto.DOUBLE), _double(made, 0.5))
    start = made.add("Cast", made.add("Round", halves), to=TensorProto.INT64)
    return _middle(made, planes, start, made.whole(side))


def _middle(made: _Nodes, planes: str, start: str, length: str) -> str:
    """What is left of planes from `start`, int64 [2], at most `length` further on."""
    end = made.add("Add", start, length)
    return made.add("Slice", planes, start, end, made.whole(2, 3))


def _padded(made: _Nodes, planes: str, side: int, background: str) -> str:
    """The longer side to `side`, in the middle of a square of the background colour."""
    sides = _sides(made, planes)
    lengths = made.add("Cast", sides, to=TensorProto.DOUBLE)
    # In this order, and in double precision: another one would round some sides otherwise.
    longer = made.add("ReduceMax", lengths, keepdims=1)
    scale = made.add("Div", _double(made, side), longer)
    exact = made.add("Add", made.add("Mul", lengths, scale), _double(made, 0.5))
    whole = made.add("Cast", made.add("Floor", exact), to=TensorProto.INT64)
    small = made.add("Max", whole, made.whole(1))
    planes = _resized(made, planes, small)
    over = made.add("Sub", made.whole(side, side), small)
    before = made.add("Div", over, made.whole(2))
    after = made.add("Sub", over, before)
    none = made.whole(0, 0)
    # Padding is of one number, and the background has three: around it, they are 0.
    colour = made.constant(np.array(rgb_of(background), np.float32).reshape(1, 3, 1, 1))
    padded = made.add(
        "Pad", made.add("Sub", planes, colour), made.joined(none, before, none, after)
    )
    return made.add("Add", padded, colour)


def _double(made: _Nodes, number: float) -> str:
    return made.constant(np.array(number, np.float64))
