"""The weights of a network as bytes."""

from __future__ import annotations

from safetensors.torch import save
from torch import nn


def packed(module: nn.Module) -> bytes:
    """All tensors of a module's state as the content of a safetensors file."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()
    }
    return save(tensors)
