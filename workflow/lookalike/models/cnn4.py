"""Networks that turn an image into an embedding, and their files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lookalike.errors import LookalikeError
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, sha256_of_file, whole, write_json

CHANNELS = (32, 64, 128, 256)


class ImageSimilarityModel(nn.Module):
    """The seed's small network: four convolutions and one fully connected layer.

    Each convolution is 3x3 with padding 1, then (optionally) batch normalisation, ReLU and 2x2 max
    pooling; 32, 64, 128 and 256 channels.

    Args:
        image_size: pixels on each side of the square input; at least 16.
        embedding_dim: length of an embedding.
        batch_norm: normalise after each convolution.
        normalize: scale embeddings to length 1.
    """

    def __init__(
        self, image_size: int, embedding_dim: int, *, batch_norm: bool, normalize: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in = 3
        for channels in CHANNELS:
            layers.append(nn.Conv2d(channels_in, channels, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            # Pooling before ReLU gives the same values and gradients for a quarter of the ReLUs.
            layers += [nn.MaxPool2d(2), nn.ReLU(inplace=True)]
            channels_in = channels
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels_in * (image_size // 2 ** len(CHANNELS)) ** 2, embedding_dim)
        self.normalize = normalize

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch.

        Args:
            images: float32 [batch, 3, image_size, image_size], normalised.

        Returns:
            float32 [batch, embedding_dim].
        """
        features = self.features(images).flatten(1)
        # On several threads a CPU's matrix product may add up in another order.
        with nullcontext() if self.training else one_thread():
            embeddings: Tensor = self.fc(features)
        # float32 whatever the precision of the layers: distances are differences of near equals.
        embeddings = embeddings.float()
        return nn.functional.normalize(embeddings, dim=1) if self.normalize else embeddings


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's CPU kernels on one thread, so that their bytes do not depend on the count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def build_model(settings: Mapping[str, Any], image_size: int) -> ImageSimilarityModel:
    """Make the network that a recipe's `model` settings name, with fresh random weights.

    The weights come from torch's global random state: seed it first.
    """
    if settings["name"] != "cnn4":
        raise LookalikeError(f"model.name: there is no network {settings['name']!r}; known: cnn4")
    return ImageSimilarityModel(
        image_size,
        settings["embedding_dim"],
        batch_norm=settings["batch_norm"],
        normalize=settings["normalize"],
    )


def score_of(settings: Mapping[str, Any]) -> str:
    """How embeddings of a model with these `model` settings are compared."""
    return "cosine" if settings["normalize"] else "euclidean"


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
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    content = save(tensors)
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


def load_model(weights: Path) -> tuple[ImageSimilarityModel, dict[str, Any]]:
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
    model = build_model(settings, image["size"])
    model.load_state_dict(load_file(weights))
    return model.eval(), description


def _model_digest(
    sha256_of_weights: str, settings: Mapping[str, Any], image: Mapping[str, Any]
) -> str:
    parts = {"weights": sha256_of_weights, "model": dict(settings), "image": dict(image)}
    return digest_of(parts, length=32)


def is_present(kind: str) -> bool:
    """Whether this machine has a device that torch calls `cuda`, `mps` or `cpu`."""
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def choose_device(wanted: str) -> torch.device:
    """The device to work on: `auto` takes CUDA, then Apple's MPS, then the CPU.

    From then on float32 is float32 on a GPU as well: torch's convolutions would otherwise round
    their input to the 10 bits of TF32, which moves an embedding by a thousandth of its length.

    Raises:
        LookalikeError: the device named is not there.
    """
    if wanted == "auto":
        wanted = next(kind for kind in ("cuda", "mps", "cpu") if is_present(kind))
    if not is_present(wanted):
        raise LookalikeError(
            f"device: {wanted} was asked for, but torch finds none on this machine; "
            "set `device: auto` or `device: cpu`"
        )
    # Not by the newer `fp32_precision`: what was set so cannot be read by libraries that ask for
    # these, and these are known to every torch.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(wanted)
