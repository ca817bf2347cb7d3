"""What export.json says of two exported models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import helper

from lookalike import __version__
from lookalike.exporting.checking import LEAST_COSINE, MOST_DIFFERENT, Agreement
from lookalike.exporting.network_graph import OPSET
from lookalike.exporting.places import IMAGE_FILE, PIXEL_FILE
from lookalike.images.resizing import ImageSettings
from lookalike.searching.chosen_run import SearchedRun


def description_of(
    models: Mapping[str, onnx.ModelProto],
    contents: Mapping[str, bytes],
    run: SearchedRun,
    agreement: Agreement | None,
) -> dict[str, Any]:
    """Describe two exported models, as JSON: what goes in, what comes out, of what, how exact.

    Args:
        models: by file name.
        contents: of these files.
        run: whose models they are.
        agreement: how well they agreed with the run's embeddings; None where that was not measured.
    """
    image = ImageSettings.from_dict(run.model["image"])
    return {
        "run": run.name,
        "digest": run.digest,
        "score": run.score,
        "opset": OPSET,
        "image": image.to_dict(),
        **_file(PIXEL_FILE, models, contents),
        "of_images": _file(IMAGE_FILE, models, contents),
        "parity": None if agreement is None else _parity(agreement),
        "version": __version__,
    }


def _file(
    name: str, models: Mapping[str, onnx.ModelProto], contents: Mapping[str, bytes]
) -> dict[str, Any]:
    graph = models[name].graph
    return {
        "file": name,
        "sha256": hashlib.sha256(contents[name]).hexdigest(),
        "input": _value(graph.input[0]),
        "output": _value(graph.output[0]),
    }


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    """Name, element type as numpy calls it, and shape: numbers, and names of what is free."""
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": str(helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
        "shape": [side.dim_param or side.dim_value for side in tensor.shape.dim],
    }


def _parity(agreement: Agreement) -> dict[str, Any]:
    """The worst that was measured on gallery images of the run, and what would have been refused.

    The first is of the model from resized pixels, as a share of an embedding's length; the second
    of the model from images of any size.
    """
    return {
        "n_images": agreement.n_images,
        "largest_difference": agreement.difference,
        "largest_difference_allowed": MOST_DIFFERENT,
        "largest_difference_image": agreement.differing,
        "smallest_cosine": agreement.cosine,
        "smallest_cosine_allowed": LEAST_COSINE,
        "smallest_cosine_image": agreement.turned,
    }
