"""What a network makes of image files, computed once and kept by content.

A store (see `lookalike.storage.row_store`) holds a row an image: of a network that was trained
whole its embeddings, of one whose backbone was left as it came the backbone's features, which serve
every head that is put on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.embedding.forward import (
    embed_batches,
    for_device,
    in_full_passes,
    require_finite_embeddings,
)
from lookalike.images.pixel_store import decoded
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.lookahead import map_ahead
from lookalike.jobs.preflight import require_room
from lookalike.jobs.progress import Progress
from lookalike.models.backbones.frozen import FeaturePart, HeadPart
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.heads.table import HEADS
from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS
from lookalike.provenance import module_digest, versions
from lookalike.storage.digests import digest_of
from lookalike.storage.row_store import Store

EMBEDDERS = ("embedding.forward",)
"""The code that a row's bytes come from, beside the network's, its weights and the image."""
OF_BACKBONES = ("models.backbones.frozen",)
"""The same of a network that is a backbone and a head."""

# Batches whose rows go to the store at once: a kill loses at most these.
STORE_BATCHES = 16

Change = Callable[[NDArray[np.uint8], Sequence[str]], NDArray[np.uint8]]
"""Changes pixels uint8 [n, size, size, 3] of images, given their SHA-256."""


@dataclass(frozen=True)
class EmbedSettings:
    """How embedding is done; none of it changes an embedding's bytes on one kind of device.

    Attributes:
        cache: the cache folder, which holds the stores.
        device: as in the settings.
        batch_size: images decoded and embedded at a time.
        threads: images decoded side by side.
    """

    cache: Path
    device: str
    batch_size: int
    threads: int


@dataclass(frozen=True)
class Embedder:
    """A network, or its part, whose outputs are kept.

    Attributes:
        network: from float32 [n, 3, size, size], normalised, to float32 [n, width].
        kind: `embeddings` or `features`, a folder of the cache.
        digest: 32 hexadecimal digits of what decides a row beside the image's content and the code:
            the weights, how they are used, and the image settings.
        width: numbers a row.
        model: settings of the whole network.
        image: how an image becomes the network's input.
    """

    network: nn.Module
    kind: str
    digest: str
    width: int
    model: ModelSettings
    image: ImageSettings

    def ready(self, device: torch.device) -> nn.Module:
        """The network as it makes every row that is kept: with the least work it can, on a device.

        It is moved there, or made into another one.
        """
        network = self.network
        if isinstance(network, EmbeddingNetwork | FeaturePart):
            network = network.for_embedding(self.image.size)
        return network.to(device).to(memory_format=torch.channels_last)

    def store(self, cache: Path, device: str, changes: Mapping[str, object] | None = None) -> Store:
        """Where the rows are that a kind of device made.

        Two kinds of device differ in the last bits, and so may two versions of the code.

        Args:
            cache: the cache folder.
            device: cpu, cuda or mps.
            changes: what says how images were changed before, if they were.
        """
        variant, of_network = MODELS[self.model.name], list[str]()
        if variant.is_backbone:
            of_network += OF_BACKBONES
        # Features are those of any head.
        if variant.is_backbone and self.kind == "embeddings":
            of_network.append(HEADS[str(self.model.own["head"])].module)
        code = module_digest(*EMBEDDERS, variant.module, *of_network, step="embed")
        built = [*variant.built_by, versions(variant.libraries)]
        made_by = [code, built, torch.__version__, PIL.__version__]
        place = f"{device}-{digest_of([*made_by, changes] if changes else made_by)}"
        folder = cache / self.kind / self.digest / place
        return Store(folder, (self.width,), np.dtype(np.float32))


def parts_of_model(
    model: nn.Module, description: Mapping[str, Any]
) -> tuple[Embedder, nn.Module | None]:
    """What of a model's work is kept, and what is done anew.

    Args:
        model: the network, as `load_model` gave it.
        description: the content of model.json; it has `features`, the digest of what decides the
            features, where the backbone was left as it came.

    Returns:
        What makes the rows of a store, and the head that turns these into embeddings; None where
        they are the embeddings.
    """
    settings = ModelSettings.from_dict(description["model"])
    image = ImageSettings.from_dict(description["image"])
    if "features" in description:
        network = cast(EmbeddingNetwork, model)
        embedder = features_of(network, settings, image, description["features"])
        return embedder, HeadPart.of(network)
    width = settings.embedding_dim
    return Embedder(model, "embeddings", description["digest"], width, settings, image), None


def features_of(
    network: EmbeddingNetwork, settings: ModelSettings, image: ImageSettings, digest: str
) -> Embedder:
    """What makes the features that a network's backbone sees in an image."""
    return Embedder(
        FeaturePart(network.backbone), "features", digest, network.n_features, settings, image
    )


def fill_store(
    store: Store,
    embedder: Embedder,
    files: Mapping[str, Path],
    device: torch.device,
    settings: EmbedSettings,
    change: Change | None = None,
) -> None:
    """Embed image files into a store.

    Args:
        store: `Embedder.store` for this device.
        embedder: whose rows they are; its network stays where it is, or is put on the device.
        files: by SHA-256, of images that the store lacks.
        device: where to embed.
        settings: how to do it.
        change: what is done to the pixels first.

    Raises:
        LookalikeError: see `embed_files`; or there is no room for the rows.
    """
    require_room(
        settings.cache, len(files) * store.row_bytes, f"{len(files):,} {embedder.kind}", "cache"
    )
    network = embedder.ready(device) if files else embedder.network
    at_once = settings.batch_size * STORE_BATCHES
    with Progress("embedding", len(files)) as progress:
        todo, image = list(files.items()), embedder.image
        rows = embed_files(network, todo, image, device, settings, progress, change)
        for start in range(0, len(todo), at_once):
            group = [sha256 for sha256, _ in todo[start : start + at_once]]
            store.add(group, np.stack(list(islice(rows, len(group)))))
    store.remember()


def embed_files(
    model: nn.Module,
    files: Sequence[tuple[str, Path]],
    image: ImageSettings,
    device: torch.device,
    settings: EmbedSettings,
    progress: Progress,
    change: Change | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Embed image files, decoding ahead of the network.

    While the network works on a batch, the next one is decoded. So three batches of pixels at most
    and what the network needs for one are in memory, however many files there are.

    Args:
        model: the network, on `device`.
        files: (SHA-256 by the manifest, file) of each image.
        image: how an image becomes the network's input.
        device: of the network.
        settings: how many images are decoded at a time, and by how many threads.
        progress: told how many images are done.
        change: what is done to the pixels first.

    Yields:
        float32 [d] for each file, in order.

    Raises:
        LookalikeError: a file is not the one that the manifest saw, or an embedding is not finite.
    """
    size = settings.batch_size
    batches = [files[start : start + size] for start in range(0, len(files), size)]
    with closing(decoded(files, image, settings.threads)) as images:

        def load(batch: Sequence[tuple[str, Path]]) -> Tensor:
            pixels = np.stack([values for _, values in islice(images, len(batch))])
            if change is not None:
                pixels = change(pixels, [sha256 for sha256, _ in batch])
            return for_device(in_full_passes(pixels), device)

        with closing(map_ahead(load, batches, threads=1, ahead=1)) as loaded:
            embedded = embed_batches(model, loaded, image)
            for batch, vectors in zip(batches, embedded, strict=True):
                require_finite_embeddings(vectors[: len(batch)], [path for _, path in batch])
                progress.update(len(batch))
                yield from vectors[: len(batch)]
