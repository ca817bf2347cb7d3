"""Any network of timm as a backbone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import timm
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.models.backbones.downloads import from_hub, from_url
from lookalike.models.backbones.networks import Backbone, count_features
from lookalike.models.backbones.pooling import exponent_at, place_of_average, pool_by_gem
from lookalike.models.backbones.sources import NONE, PRETRAINED, digest_of_weights, own_file
from lookalike.models.backbones.weights import adapted_by, load_weights, read_weights

# What the hub has in a safer format beside it.
_SAFER = {
    "pytorch_model.bin": "model.safetensors",
    "open_clip_pytorch_model.bin": "open_clip_model.safetensors",
}


def build(
    image_size: int,
    *,
    backbone: str,
    weights: str,
    pooling: str,
) -> Backbone:
    """See `lookalike.models.table`.

    Raises:
        LookalikeError: there is no such backbone, it takes no images of this size, it cannot be
            pooled so, or its weights are not there or are others.
    """
    known = NONE
    network = _made(backbone, image_size)
    if weights == PRETRAINED:
        path = _fetched(network, backbone)
        known = digest_of_weights(path)
        network = _made(
            backbone,
            image_size,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(path), "custom_load": False},
        )
    elif weights != NONE:
        path = own_file(weights)
        known = digest_of_weights(path)
        _load_and_pool(network, path, pooling, backbone)
    if weights in (NONE, PRETRAINED):
        _pool(network, pooling, backbone)
    return Backbone(network, count_features(network, image_size, backbone), known)


def _made(backbone: str, image_size: int, **how: Any) -> nn.Module:
    """A network without its classifier, for images of a size if it is made for one only.

    Raises:
        LookalikeError: there is none of that name, or not for this size.
    """
    if not timm.is_model(backbone.partition(".")[0]):
        raise LookalikeError(
            f"model.backbone: timm {timm.__version__} has no {backbone!r}; timm.list_models() "
            "names all that it has"
        )
    try:
        config = timm.models.get_pretrained_cfg(backbone)
    except (RuntimeError, KeyError, ValueError) as error:
        raise LookalikeError(f"model.backbone: {backbone}: {error}") from error
    fixed = config is not None and config.fixed_input_size
    own_size = config.input_size[-1] if config is not None else image_size
    how |= {"pretrained": how.get("pretrained", False), "num_classes": 0}
    try:
        if not fixed:
            return timm.create_model(backbone, **how)
        try:
            network = timm.create_model(backbone, img_size=image_size, **how)
        except TypeError:
            if image_size != own_size:
                raise
            return timm.create_model(backbone, **how)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise LookalikeError(
            f"model.backbone: {backbone} cannot be made for images of {image_size} pixels ({why}); "
            f"set image.size: {own_size} in the recipe"
        ) from error
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    side = patch[0] if isinstance(patch, tuple | list) else patch
    if isinstance(side, int) and image_size % side:
        raise LookalikeError(
            f"model.backbone: {backbone} divides an image into patches of {side} pixels, but "
            f"{image_size} is no multiple of that; set image.size to one in the recipe, such as "
            f"{max(1, round(image_size / side)) * side} or {own_size}"
        )
    return network


def _fetched(network: nn.Module, backbone: str) -> Path:
    """The file of weights that timm names for a network, from its cache or the network.

    Raises:
        LookalikeError: there is none, or it cannot be fetched.
    """
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    if config.get("hf_hub_id") and config.get("custom_load") != "hf":
        name = config.get("hf_hub_filename") or "pytorch_model.bin"
        safer = _SAFER.get(name)
        return from_hub(config["hf_hub_id"], [safer, name] if safer else [name], backbone)
    if config.get("url") and not config.get("custom_load"):
        return from_url(config["url"], backbone)
    raise LookalikeError(
        f"model.weights: timm has no pretrained weights of {backbone} that can be had here; set "
        "weights: none, or a file; timm.list_pretrained() names those with weights"
    )


def _load_and_pool(network: nn.Module, path: Path, pooling: str, backbone: str) -> None:
    """Pool in another way and load a file, which may be of this way of pooling or of another."""
    state = read_weights(path)
    # What timm does with a published file: other names, positions for another size.
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    adapted = adapted_by(lambda weights: adapt(weights, network), state) if adapt else None
    exponent = exponent_at(place_of_average(network, SelectAdaptivePool2d))
    before = network.state_dict().keys()
    _pool(network, pooling, backbone)
    of_pooling = {*exponent, *(before ^ network.state_dict().keys())}
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    classifier = config.get("classifier") or ()
    named = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    load_weights(
        network,
        state,
        path,
        name=backbone,
        of_classifier=(*named, "fc", "head_dist"),
        of_pooling=of_pooling,
        adapted=adapted,
    )


def _pool(network: Any, pooling: str, backbone: str) -> None:
    """Pool the last maps, or the tokens of a transformer, in another way; in place."""
    of_tokens = isinstance(getattr(network, "global_pool", None), str)
    if pooling == "gem":
        if of_tokens:
            raise LookalikeError(
                f"model.pooling: {backbone} makes tokens, and gem pools maps; set pooling: avg or "
                "cls"
            )
        pool_by_gem(network, backbone, place_of_average(network, SelectAdaptivePool2d))
    elif of_tokens:
        has_class = getattr(network, "cls_token", None) is not None
        if pooling == "cls" and not has_class:
            raise LookalikeError(f"model.pooling: {backbone} has no class token; set pooling: avg")
        wanted = "token" if pooling == "cls" else "avg"
        if network.global_pool != wanted:
            try:
                network.reset_classifier(0, wanted)
            except (AssertionError, TypeError, RuntimeError) as error:
                raise LookalikeError(
                    f"model.pooling: {backbone} cannot be pooled so ({error}); set pooling: "
                    f"{'avg' if pooling == 'cls' else 'cls'}"
                ) from error
    elif pooling == "cls":
        raise LookalikeError(
            f"model.pooling: {backbone} is no transformer with a class token; set pooling: avg"
        )
