"""A network as an ONNX graph, from resized pixels to embeddings."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import onnx
import torch
from torch import Tensor, nn

from lookalike.errors import LookalikeError
from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings

OPSET = 18
"""The version of ONNX's operators: the first whose Resize averages where it shrinks."""

PIXELS, EMBEDDINGS = "pixels", "embeddings"
"""The network's input uint8 [n, size, size, 3] and output float32 [n, d]."""

# What protobuf can write as one message, less what is not weights.
_MOST_BYTES = 2**31 - 2**24


class _FromPixels(nn.Module):
    """A network with the normalisation of its pixels: uint8 [n, size, size, 3] to [n, d]."""

    def __init__(self, network: nn.Module, image: ImageSettings) -> None:
        super().__init__()
        self.network, self.image = network, image

    def forward(self, pixels: Tensor) -> Tensor:
        embeddings: Tensor = self.network(normalise(pixels, self.image))
        return embeddings.float()


def network_graph(network: nn.Module, image: ImageSettings) -> onnx.GraphProto:
    """Write a network as a graph of ONNX's operators, of version `OPSET`.

    Args:
        network: on the CPU, in evaluation mode.
        image: how pixels become its input.

    Returns:
        A graph from `PIXELS`, of any number of images, to `EMBEDDINGS`.

    Raises:
        LookalikeError: the network does what ONNX has no operators for, or its weights are more
            than one file of ONNX holds.
    """
    weights = network.state_dict().values()
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    if n_bytes > _MOST_BYTES:
        raise LookalikeError(
            f"the network's weights are {n_bytes / 2**30:.1f} GiB, and a file of ONNX holds 2; "
            "export a run with a smaller backbone"
        )
    example = torch.zeros(2, image.size, image.size, 3, dtype=torch.uint8)
    try:
        with _silence():
            program = torch.onnx.export(
                _FromPixels(network, image).eval(),
                (example,),
                dynamo=True,
                input_names=[PIXELS],
                output_names=[EMBEDDINGS],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:  # torch's exporter raises nearly every type
        raise _cannot(_first_cause(error)) from error
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": OPSET} or model.functions:
        raise _cannot(f"it needs operators of {versions}")
    if model.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        raise _cannot("it is bound to one number of images at a time")
    _forget_making(model.graph)
    return model.graph


@contextmanager
def _silence() -> Iterator[None]:
    """Keep back what the exporter tells of its progress; what it made is tested."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        unsaid = io.StringIO()
        with warnings.catch_warnings(), redirect_stdout(unsaid), redirect_stderr(unsaid):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _cannot(why: str) -> LookalikeError:
    return LookalikeError(
        f"the network cannot be written as ONNX: {why.splitlines()[0]}. Export a run with another "
        "backbone"
    )


def _first_cause(error: BaseException) -> str:
    """What the error says that the others came of."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip() or type(error).__name__


def _forget_making(graph: onnx.GraphProto) -> None:
    """Remove what the exporter notes of the code that the network came from, with its paths."""
    for parts in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for part in parts:
            part.doc_string = ""
            del part.metadata_props[:]
    graph.doc_string = ""
    del graph.metadata_props[:]
