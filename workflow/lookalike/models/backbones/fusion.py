"""A network as it embeds, with less work: what normalises batches is part of its convolutions."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# By how much of its length a feature may change: rounding, not another network.
_TOLERANCE = 1e-3


def fused(network: nn.Module, image_size: int) -> nn.Module:
    """A copy of a network in evaluation mode, with each batch normalisation in its convolution.

    In evaluation mode such a layer multiplies and adds constants. Which convolution it follows is
    seen by sending an image through the network. Where the copy does not come to the same but for
    rounding, it is the network itself.

    Args:
        network: in evaluation mode; it is left as it is.
        image_size: pixels on each side of its input.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, image_size, image_size, generator=generator)
    images = images.to(next(network.parameters()).device)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for convolution, normalisation in _pairs(other, images):
            joint = fuse_conv_bn_eval(convolution, normalisation)
            convolution.weight, convolution.bias = joint.weight, joint.bias
            _pass_on(other, normalisation)
        expected, found = network(images), other(images)
    same = (found - expected).norm() <= _TOLERANCE * expected.norm()
    return other if same else network


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, and the batch normalisation that each one's output goes into."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note_convolution(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        made[id(output)] = (module, output)  # held, so that no other one has its id

    def note_normalisation(module: Any, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made and module.track_running_stats and module.affine:
            pairs.append((made[id(inputs[0])][0], module))

    hooks = [
        module.register_forward_hook(note_convolution)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    hooks += [
        module.register_forward_pre_hook(note_normalisation)
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    # One that is used twice has two things to be.
    once = [pair for pair in pairs if sum(pair[0] is other for other, _ in pairs) == 1]
    return [pair for pair in once if sum(pair[1] is other for _, other in once) == 1]


def _pass_on(network: nn.Module, normalisation: nn.BatchNorm2d) -> None:
    """Replace a batch normalisation by what timm has beside it in one layer, if anything."""
    rest = [getattr(normalisation, name, None) for name in ("drop", "act")]
    layers = [layer for layer in rest if isinstance(layer, nn.Module)]
    passing = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is normalisation:
                setattr(parent, name, nn.Sequential(*passing) if passing else nn.Identity())
