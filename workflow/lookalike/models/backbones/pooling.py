"""Generalised-mean pooling in the place of a network's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookalike.errors import LookalikeError


class GeM(nn.Module):
    """Generalised-mean pooling (Radenović, Tolias and Chum 2019): (mean of x^p)^(1/p), p learned.

    p of 1 is the mean, and the larger p, the closer to the maximum.

    Args:
        p: at first.
        flatten: give [n, channels]; otherwise [n, channels, 1, 1].
    """

    LEAST = 1e-6

    def __init__(self, p: float = 3.0, *, flatten: bool) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.flatten = flatten

    def forward(self, maps: Tensor) -> Tensor:
        """Pool float [n, channels, height, width]; what is below 1e-6 counts as that.

        >>> GeM(2.0, flatten=True)(torch.tensor([[[[1.0, 7.0]]]])).item()  # the root of 25
        5.0
        """
        powers = maps.float().clamp(min=self.LEAST).pow(self.p)
        pooled = powers.mean(dim=(2, 3), keepdim=not self.flatten).pow(1 / self.p)
        return pooled.to(maps.dtype)


def place_of_average(network: nn.Module, kind: type[nn.Module], at: str = "") -> str | None:
    """The name of the layer that takes a network's average over its last maps; None: there is none.

    Args:
        network: as its library makes it.
        kind: of that layer.
        at: where it is; otherwise it is the only one of its kind.
    """
    found = [
        place
        for place, layer in network.named_modules()
        if isinstance(layer, kind) and (not at or place == at) and _is_of_maps(layer)
    ]
    return found[0] if len(found) == 1 else None


def exponent_at(place: str | None) -> tuple[str, ...]:
    """What generalised-mean pooling adds to the names of a network's weights, at such a place."""
    return () if place is None else (f"{place}.p",)


def pool_by_gem(network: nn.Module, name: str, place: str | None) -> None:
    """Put generalised-mean pooling in the place of a network's average over its last maps.

    Args:
        network: changed in place.
        name: for messages.
        place: of `place_of_average`.

    Raises:
        LookalikeError: there is no place, or it is not given maps as [n, channels, height, width].
    """
    if place is None:
        raise LookalikeError(
            f"model.pooling: {name} has no average of its last maps that the generalised mean "
            "could replace; set pooling: avg"
        )
    parent, _, last = place.rpartition(".")
    flatten = isinstance(getattr(network.get_submodule(place), "flatten", None), nn.Flatten)
    setattr(network.get_submodule(parent), last, GeM(flatten=flatten))


def _is_of_maps(layer: nn.Module) -> bool:
    """Whether a pooling layer makes one number of each whole map [height, width]."""
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return layer.output_size in (1, (1, 1))
    averages = getattr(layer, "pool", None)
    return isinstance(averages, nn.AdaptiveAvgPool2d)
