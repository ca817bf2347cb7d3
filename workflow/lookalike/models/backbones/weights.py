"""Weights in a file, into a network: safetensors, or torch's format without its code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lookalike.errors import LookalikeError
from lookalike.text import shown_path

Tensors = dict[str, Tensor]
"""Weights by name."""

# What a checkpoint of a training calls the weights in it.
_INSIDE = ("state_dict", "model", "model_state_dict", "state_dict_ema")
# Of several processes, of torch.compile, and of a model of this package.
_PREFIXES = ("module.", "_orig_mod.", "backbone.")


def read_weights(path: Path) -> Tensors:
    """The tensors of a file by name: of a safetensors file, or of one that torch.save wrote.

    No code of the file is run. A checkpoint with the weights in it beside other things is
    understood, and so are names that begin with `module.` or `backbone.`, as all others then do.

    Raises:
        LookalikeError: it cannot be read, or is of neither kind.
    """
    try:
        return _own_names(_read(path))
    except OSError as error:
        raise LookalikeError(
            f"model.weights: {shown_path(path)}: cannot be read: {error.strerror or error}"
        ) from error


def _read(path: Path) -> Tensors:
    with path.open("rb") as stream:
        start = stream.read(9)
    # A safetensors file begins with the length of its header, which may be any number: its first
    # bytes can be those by which a file of torch is known.
    has_header = start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    is_torch = not has_header and (start[:2] == b"PK" or start[:1] == b"\x80")
    try:
        content: Any = (
            torch.load(path, map_location="cpu", weights_only=True) if is_torch else load_file(path)
        )
    except OSError:
        raise
    except (SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise LookalikeError(
            f"model.weights: {shown_path(path)}: is neither a safetensors file nor one that torch "
            "wrote, or is damaged"
        ) from error
    except Exception as error:  # of pickle, which refuses what is no tensor
        raise LookalikeError(
            f"model.weights: {shown_path(path)}: holds more than tensors, such as code, which is "
            "not run here; save its state_dict() alone, as safetensors"
        ) from error
    for name in _INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise LookalikeError(
            f"model.weights: {shown_path(path)}: is no mapping of names to tensors; save the "
            "network's state_dict() alone, as safetensors"
        )
    return dict(content)


def _own_names(state: Tensors) -> Tensors:
    """Without a prefix that all names have but for those of a head beside a `backbone`."""
    for prefix in _PREFIXES:
        rest = [name for name in state if not name.startswith(prefix)]
        head_beside = prefix == "backbone." and all(name.startswith("head.") for name in rest)
        if len(rest) < len(state) and (not rest or head_beside):
            state = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
    return state


def load_weights(
    network: nn.Module,
    state: Tensors,
    path: Path,
    *,
    name: str,
    of_classifier: Collection[str],
    of_pooling: Collection[str] = (),
    adapted: Tensors | None = None,
) -> None:
    """Load weights into a network without its classifier, in place.

    Args:
        network: the backbone.
        state: tensors by name, of `read_weights`.
        path: where they come from, for messages.
        name: of the backbone, for messages.
        of_classifier: first parts of the names of what the network was made without: these may be
            there.
        of_pooling: names of what one way of pooling has and another one has not: these may be
            there, and may be missing.
        adapted: the same tensors by other names, for where the file's own names do not fit.

    Raises:
        LookalikeError: names are missing or are of no use, or a tensor is of another shape.
    """
    own = network.state_dict()
    faults = [*_faults(own, state, of_classifier, of_pooling)]
    if faults and adapted is not None:
        state = adapted
        faults = [*_faults(own, state, of_classifier, of_pooling)]
    if faults:
        raise LookalikeError(
            f"model.weights: {shown_path(path)}: these are not the weights of {name}: "
            f"{'; '.join(faults)}. Name the backbone that they were made for, or another file"
        )
    network.load_state_dict(
        {key: value for key, value in state.items() if key in own}, strict=False
    )


def adapted_by(adapt: Callable[[Tensors], Mapping[str, Tensor]], state: Tensors) -> Tensors | None:
    """Weights as a library's own function adapts them to a network of its.

    Returns:
        None where it cannot: it takes the weights for those of that network, and of others it
        raises whatever comes.
    """
    try:
        return dict(adapt(dict(state)))
    except Exception:  # told when the weights are loaded
        return None


def _faults(
    own: Tensors, state: Tensors, of_classifier: Collection[str], of_pooling: Collection[str]
) -> Iterator[str]:
    """What of weights does not fit a network's own, in words."""
    missing = [
        key
        for key in own
        if key not in state and not key.endswith("num_batches_tracked") and key not in of_pooling
    ]
    beyond = [
        key
        for key in state
        if key not in own and key not in of_pooling and not _is_of(key, of_classifier)
    ]
    other = [
        f"{key} ({_shape(state[key])} for {_shape(own[key])})"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for what, keys in (
        ("it lacks", missing),
        ("of another shape are", other),
        ("the network has no", beyond),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            yield f"{what}: {', '.join(keys[:3])}{more}"


def _is_of(key: str, parts: Collection[str]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for part in parts)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"
