"""The embed step: what the store has is read, the rest is decoded and sent through the network."""

from __future__ import annotations

import logging
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from lookalike import __version__
from lookalike.embedding import embed_pixels, require_finite
from lookalike.files import write_json
from lookalike.images import ImageSettings
from lookalike.manifest_table import read_manifest, usable
from lookalike.models import choose_device, load_model, score_of
from lookalike.pixels import decoded, files_by_content
from lookalike.progress import Progress
from lookalike.store import Store
from lookalike.tables import write_embeddings

log = logging.getLogger(__name__)

# Batches whose embeddings go to the store at once: a kill loses at most these.
STORE_BATCHES = 16


def embed_split(
    manifest: Path,
    folder: Path,
    weights: Path,
    output: Path,
    summary: Path,
    *,
    cache: Path,
    device: str,
    batch_size: int,
    threads: int,
) -> None:
    """Write the embeddings of a split's usable images, computing only those not in the store.

    Args:
        manifest: manifest/{split}.parquet.
        folder: of the split's images.
        weights: model.safetensors, with model.json beside it.
        output: embeddings/{split}.parquet.
        summary: embeddings/{split}.json: what was done.
        cache: the cache folder, which holds the embedding store.
        device: as in the settings.
        batch_size: images in one forward pass.
        threads: images decoded side by side.
    """
    started = time.monotonic()
    model, description = load_model(weights)
    target = choose_device(device)
    model.to(target).to(memory_format=torch.channels_last)
    image = ImageSettings.from_dict(description["image"])
    table = usable(read_manifest(manifest))
    hashes: list[str] = table["sha256"].to_pylist()

    # Two kinds of device differ in the last bits: each has its own embeddings.
    dim = description["model"]["embedding_dim"]
    place = cache / "embeddings" / description["digest"] / target.type
    store = Store(place, (dim,), np.dtype(np.float32))
    missing = store.missing(hashes)
    log.info(
        "embedding %d images on %s: %d distinct, %d of them not yet embedded",
        len(hashes),
        target.type,
        len(set(hashes)),
        len(missing),
    )
    files = files_by_content(table, folder)
    todo = decoded([(key, files[key]) for key in missing], image, threads)
    with Progress("embedding", len(missing)) as progress:
        while some := list(islice(todo, batch_size * STORE_BATCHES)):
            keys, pixels = zip(*some, strict=True)
            vectors = embed_pixels(model, np.stack(pixels), image, batch_size)
            require_finite(vectors, [files[key] for key in keys])
            store.add(keys, vectors)
            progress.update(len(some))

    metadata = {
        "model_digest": description["digest"],
        "image": image.to_dict(),
        "score": score_of(description["model"]),
        "version": __version__,
    }
    labels = table["label"].to_pylist()
    vectors = store.read(hashes)
    write_embeddings(output, table["image_id"].to_pylist(), labels, hashes, vectors, metadata)
    write_json(
        summary,
        {
            "images": len(hashes),
            "from_store": len(set(hashes)) - len(missing),
            "decoded": len(missing),
            "embedded": len(missing),
            "seconds": round(time.monotonic() - started, 3),
            "model_digest": description["digest"],
        },
    )
