"""The classifiers of torchvision as backbones."""

from __future__ import annotations

from torch import nn
from torchvision.models import VisionTransformer, get_model, get_model_weights
from torchvision.models.vision_transformer import interpolate_embeddings

from lookalike.errors import LookalikeError
from lookalike.models.backbones.downloads import from_url
from lookalike.models.backbones.images import names_of_backbones
from lookalike.models.backbones.networks import Backbone, count_features
from lookalike.models.backbones.pooling import exponent_at, place_of_average, pool_by_gem
from lookalike.models.backbones.sources import NONE, PRETRAINED, digest_of_weights, own_file
from lookalike.models.backbones.weights import (
    Tensors,
    adapted_by,
    load_weights,
    read_weights,
)
from lookalike.text import did_you_mean


def build(
    image_size: int,
    *,
    backbone: str,
    weights: str,
    pooling: str,
) -> Backbone:
    """See `lookalike.models.table`: all but the last fully connected layer.

    Raises:
        LookalikeError: there is no such backbone, it takes no images of this size, it cannot be
            pooled so, or its weights are not there or are others.
    """
    if backbone not in names_of_backbones("torchvision"):  # which may not even be classifiers
        raise LookalikeError(
            f"model.backbone: {backbone} is no classifier of torchvision that could be a backbone"
            f"{did_you_mean(backbone, names_of_backbones('torchvision'), list_known=False)}"
        )
    transformer = backbone.startswith("vit_")
    if (pooling == "cls") != transformer:
        raise LookalikeError(
            f"model.pooling: the features of {backbone} of torchvision are "
            + ("those of its class token; set pooling: cls" if transformer else "no class token's")
            + ("" if transformer else "; set pooling: avg")
        )
    try:
        sized = {"image_size": image_size} if transformer else {}
        network: nn.Module = get_model(backbone, weights=None, **sized)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise LookalikeError(
            f"model.backbone: {backbone} of torchvision cannot be made for images of {image_size} "
            f"pixels ({error})"
        ) from error
    last = next(
        name
        for name, layer in reversed([*network.named_modules()])
        if isinstance(layer, nn.Linear) and layer.out_features == 1000
    )
    place, _, name = last.rpartition(".")
    setattr(network.get_submodule(place), name, nn.Identity())
    average, known = place_of_average(network, nn.AdaptiveAvgPool2d, at="avgpool"), NONE
    if pooling == "gem":
        pool_by_gem(network, backbone, average)
    if weights != NONE:
        path = (
            from_url(get_model_weights(backbone).DEFAULT.url, backbone)
            if weights == PRETRAINED
            else own_file(weights)
        )
        known = digest_of_weights(path)
        state = read_weights(path)
        load_weights(
            network,
            state,
            path,
            name=backbone,
            of_classifier=(last,),
            of_pooling=exponent_at(average),
            adapted=_for_size(state, network),
        )
    return Backbone(network, count_features(network, image_size, backbone), known)


def _for_size(state: Tensors, network: nn.Module) -> Tensors | None:
    """Weights whose positions are those of a transformer's images, if they were of another size."""
    if not isinstance(network, VisionTransformer):
        return None
    size, patch = network.image_size, network.patch_size
    return adapted_by(lambda weights: interpolate_embeddings(size, patch, weights), state)
