"""A model's two files: its weights, and beside them all that is needed to rebuild the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.models.building import build_model
from lookalike.models.packing import packed
from lookalike.models.settings import ModelSettings
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, sha256_of_file, whole, write_json


def save_model(
    model: nn.Module,
    weights: Path,
    description: Path,
    *,
    settings: Mapping[str, Any],
    image: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> str:
    """Write weights and, beside them, all that is needed to rebuild the network from its folder.

    Args:
        weights: path of the safetensors file.
        description: path of the JSON file beside it.
        settings: the recipe's `model` mapping.
        image: the image settings that the network was made for.
        facts: further entries of the JSON file (recipe, seed, version ...).

    Returns:
        The model digest: it changes with the weights or the way they are used, nothing else.
    """
    content = packed(model)
    digest = _model_digest(hashlib.sha256(content).hexdigest(), settings, image)
    with whole(weights) as beside:
        beside.write_bytes(content)
    write_json(
        description,
        {
            "digest": digest,
            "model": dict(settings),
            "image": dict(image),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            **facts,
        },
    )
    return digest


def load_model(weights: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a network from `weights` and the model.json in the same folder.

    Returns:
        The network in evaluation mode on the CPU, and the content of model.json.

    Raises:
        LookalikeError: the two files do not belong together.
    """
    description: dict[str, Any] = read_json(
        weights.with_name("model.json"), {"digest": str, "model": dict, "image": dict}
    )
    settings, image = description["model"], description["image"]
    if _model_digest(sha256_of_file(weights), settings, image) != description["digest"]:
        raise LookalikeError(
            f"{weights}: does not match the digest in model.json beside it; "
            "delete the folder and train again"
        )
    model = build_model(ModelSettings.from_dict(settings).without_weights(), image["size"])
    model.load_state_dict(load_file(weights))
    return model.eval(), description


def _model_digest(
    sha256_of_weights: str, settings: Mapping[str, Any], image: Mapping[str, Any]
) -> str:
    # Where a backbone's weights once came from is no use of those that the network has.
    model = {key: value for key, value in settings.items() if key != "weights"}
    parts = {"weights": sha256_of_weights, "model": model, "image": dict(image)}
    return digest_of(parts, length=32)
