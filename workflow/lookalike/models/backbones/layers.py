"""The layers of a backbone in their order, for whoever trains some of them, or some slower."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from torch import nn


def layers_of(backbone: nn.Module) -> list[list[str]]:
    """Names of a backbone's parameters, layer by layer from the input on.

    A network of timm says itself what a layer of it is: a block, most often. Of another one a layer
    is what its top level holds, and where that is a sequence, each member of it; what has no
    parameters is none.
    """
    names = [name for name, _ in backbone.named_parameters()]
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is not None:
        # By name: a training of another network neither loads timm nor depends on it.
        group_parameters = importlib.import_module("timm.models").group_parameters
        number_of = group_parameters(backbone, matcher(coarse=False), reverse=True)
        numbers = sorted({number_of[name] for name in names})
        return [[name for name in names if number_of[name] == number] for number in numbers]
    parts = [*_parts(backbone)]
    own = [name for name in names if not any(name.startswith(f"{part}.") for part in parts)]
    grouped = [[name for name in names if name.startswith(f"{part}.")] for part in parts]
    return [group for group in [own, *grouped] if group]


def _parts(module: nn.Module, above: str = "") -> Iterator[str]:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _parts(child, f"{above}{name}.")
        else:
            yield f"{above}{name}"
