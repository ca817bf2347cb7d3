"""The layers of a backbone in their order, for whoever trains some of them, or some slower."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from torch import nn

_SEQUENCES = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def layers_of(backbone: nn.Module) -> list[list[str]]:
    """Names of a backbone's parameters, layer by layer from the input on.

    A network of timm says itself what a layer of it is: a block, most often. Of another one a layer
    is what its top level holds, and where that is a sequence of layers, or holds one of blocks,
    each of these. For both, what only scales and shifts what a layer gives (a normalisation, the
    exponent of a generalised mean) belongs to that layer, and so does a parameter beside the
    layers; what comes before them all belongs to the first one.
    """
    named = dict(backbone.named_parameters())
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is not None:
        # By name: a training of another network neither loads timm nor depends on it.
        group_parameters = importlib.import_module("timm.models").group_parameters
        number_of = group_parameters(backbone, matcher(coarse=False), reverse=True)
        groups = [
            [name for name in named if number_of[name] == number]
            for number in sorted({number_of[name] for name in named})
        ]
        beside = [all(named[name].ndim <= 1 for name in group) for group in groups]
    else:
        parts = [*_parts(backbone)]
        groups = [part for part, _ in parts]
        beside = [not is_layer for _, is_layer in parts]
    layers: list[list[str]] = []
    first: list[str] = []
    for group, joins in zip(groups, beside, strict=True):
        if not joins:
            layers.append([*first, *group])
            first = []
        elif layers:
            layers[-1] += group
        else:
            first += group
    return [*layers, first] if first else layers


def _parts(module: nn.Module, above: str = "") -> Iterator[tuple[list[str], bool]]:
    """Names of parameters in their order, and whether they are a layer of their own."""
    own = [f"{above}{name}" for name, _ in module.named_parameters(recurse=False)]
    if own:
        yield own, False
    for name, child in module.named_children():
        inside = f"{above}{name}."
        if _is_divided(child):
            yield from _parts(child, inside)
        elif names := [f"{inside}{key}" for key, _ in child.named_parameters()]:
            yield names, _has_weights(child)


def _is_divided(module: nn.Module) -> bool:
    """Whether a module is no layer but holds several."""
    weighty = _weighty(module)
    if isinstance(module, _SEQUENCES):
        # One convolution with its normalisation is one layer, of whatever class the two are kept.
        return len(weighty) > 1 or any(_is_divided(child) for child in weighty)
    return any(isinstance(child, _SEQUENCES) and _is_of_blocks(child) for child in weighty)


def _is_of_blocks(sequence: nn.Module) -> bool:
    """Whether a sequence is of blocks of one class; those within a block are of simpler layers."""
    weighty = _weighty(sequence)
    return (
        len(weighty) > 1
        and len({type(child) for child in weighty}) == 1
        and not isinstance(weighty[0], _SEQUENCES)
        and bool(_weighty(weighty[0]))
    )


def _weighty(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if _has_weights(child)]


def _has_weights(module: nn.Module) -> bool:
    """Whether it has parameters that mix channels or places, beside what scales and shifts."""
    return any(parameter.ndim > 1 for parameter in module.parameters())
