"""Other pooling in a network that has a layer for it."""

from __future__ import annotations

from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.models.backbones.networks import GeM


def pool_by_gem(network: nn.Module, name: str) -> None:
    """Put generalised-mean pooling in the place of a network's average over its last maps.

    Args:
        network: changed in place.
        name: for messages.

    Raises:
        LookalikeError: it has none, or several.
    """
    found = [
        (parent, place, child)
        for parent in network.modules()
        for place, child in parent.named_children()
        if isinstance(child, SelectAdaptivePool2d | nn.AdaptiveAvgPool2d) and _is_of_all(child)
    ]
    if len(found) != 1:
        raise LookalikeError(
            f"model.pooling: {name} has no layer that generalised-mean pooling could replace; set "
            "pooling: avg"
        )
    ((parent, place, child),) = found
    flatten = isinstance(child, SelectAdaptivePool2d) and isinstance(child.flatten, nn.Flatten)
    setattr(parent, place, GeM(flatten=flatten))


def _is_of_all(pool: nn.Module) -> bool:
    """Whether it pools a whole map to one number."""
    if isinstance(pool, nn.AdaptiveAvgPool2d):
        return pool.output_size in (1, (1, 1))
    return pool.pool_type == "avg"
