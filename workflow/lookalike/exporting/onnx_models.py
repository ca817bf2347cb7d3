"""The two ONNX models of a network: from resized pixels, and from images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.exporting.network_graph import EMBEDDINGS, OPSET, PIXELS
from lookalike.exporting.resizing_graph import resizing_nodes
from lookalike.images.resizing import ImageSettings

IMAGES = "images"
"""The input of both models; their output is `EMBEDDINGS`."""

# The oldest form of the file that has what the models need, so that older programs read them too.
_IR_VERSION = 10


def pixel_model(
    network: onnx.GraphProto, image: ImageSettings, facts: Mapping[str, str]
) -> onnx.ModelProto:
    """From images as the workflow resizes them, uint8 [n, size, size, 3], to embeddings.

    Args:
        network: of `lookalike.exporting.network_graph`.
        image: the image settings of the network.
        facts: the model's metadata.
    """
    same = helper.make_node("Identity", [IMAGES], [PIXELS], PIXELS)
    return _model([same], [], network, (image.size, image.size), facts)


def image_model(
    network: onnx.GraphProto, image: ImageSettings, facts: Mapping[str, str]
) -> onnx.ModelProto:
    """From images of any one size, decoded whole, uint8 [n, height, width, 3], to embeddings.

    Args:
        network: of `lookalike.exporting.network_graph`.
        image: the image settings of the network.
        facts: the model's metadata.
    """
    nodes, constants = resizing_nodes(image, IMAGES, PIXELS)
    return _model(nodes, constants, network, ("height", "width"), facts)


def _model(
    before: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    network: onnx.GraphProto,
    sides: tuple[int | str, int | str],
    facts: Mapping[str, str],
) -> onnx.ModelProto:
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", *sides, 3])
    graph = helper.make_graph(
        [*before, *network.node],
        "lookalike",
        [images],
        network.output,
        [*constants, *network.initializer],
        value_info=network.value_info,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="lookalike",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(facts))
    return model


class OnnxEmbedder:
    """A model as onnxruntime runs it on the CPU."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Load a model.

        Raises:
            LookalikeError: onnxruntime does not take it.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no class of their own
            raise _cannot_run(error) from error

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings float32 [n, d] of what the model takes.

        Raises:
            LookalikeError: onnxruntime fails.
        """
        try:
            (embeddings,) = self._session.run([EMBEDDINGS], {IMAGES: images})
        except Exception as error:
            raise _cannot_run(error) from error
        found: NDArray[np.float32] = embeddings
        return found


def _cannot_run(error: Exception) -> LookalikeError:
    words = str(error).strip() or type(error).__name__
    return LookalikeError(
        f"onnxruntime cannot run the network: {words.splitlines()[0]}. Export a run with another "
        "backbone"
    )
