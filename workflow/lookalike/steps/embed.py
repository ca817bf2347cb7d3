"""The embed step: what the store has is read, the rest is decoded and sent through the network."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike import __version__
from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.forward import (
    embed_batches,
    for_device,
    in_full_passes,
    require_finite_embeddings,
)
from lookalike.embedding.shards import read_item, shard_of
from lookalike.embedding.tables import write_embeddings
from lookalike.errors import LookalikeError
from lookalike.images.pixel_store import decoded, names_by_content
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.lookahead import map_ahead
from lookalike.jobs.preflight import require_room
from lookalike.jobs.progress import Progress
from lookalike.jobs.torch_devices import choose_device, is_present
from lookalike.models.files import load_model
from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS
from lookalike.provenance import module_digest, versions
from lookalike.storage.cache import forget
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, write_json, write_text
from lookalike.storage.row_store import Store

log = logging.getLogger(__name__)

EMBEDDERS = ("embedding.forward",)
"""The code that an embedding's bytes come from, beside the network's, the model and the image."""

# Batches whose embeddings go to the store at once: a kill loses at most these.
STORE_BATCHES = 16


@dataclass(frozen=True)
class EmbedSettings:
    """How embedding is done; none of it changes an embedding's bytes on one kind of device.

    Attributes:
        cache: the cache folder, which holds the embedding store.
        device: as in the settings.
        batch_size: images decoded and embedded at a time.
        threads: images decoded side by side.
    """

    cache: Path
    device: str
    batch_size: int
    threads: int


@dataclass(frozen=True)
class EmbedCounts:
    """What an embedding job did, in images of distinct content."""

    from_store: int
    decoded: int
    embedded: int


def embed_split(
    manifest: Path,
    folder: Path,
    weights: Path,
    output: Path,
    summary: Path,
    shards: Sequence[Path],
    settings: EmbedSettings,
) -> None:
    """Write the embeddings of a split's usable images, computing only those not in the store.

    Args:
        manifest: manifest/{split}.parquet.
        folder: of the split's images.
        weights: model.safetensors, with model.json beside it.
        output: embeddings/{split}.parquet.
        summary: embeddings/{split}.json: what was done.
        shards: summaries of the parts, whose images are in the store. What was done since the last
            table is part of what was done for this one.
        settings: how to do it.

    Raises:
        LookalikeError: the store lacks what the parts made, and their kind of device is not here.
    """
    started = time.monotonic()
    table = usable(read_manifest(manifest))
    hashes: list[str] = table["sha256"].to_pylist()
    parts = [read_json(path, {"device": str, "embedded": int, "seconds": float}) for path in shards]
    kinds = Counter(part["device"] for part in parts).most_common()
    store, description, counts = _fill_store(
        table, folder, weights, settings, made_on=kinds[0][0] if kinds else None
    )

    image = ImageSettings.from_dict(description["image"])
    metadata = {
        "model_digest": description["digest"],
        "image": image.to_dict(),
        "score": ModelSettings.from_dict(description["model"]).score,
        "version": __version__,
    }
    ids, labels = table["image_id"].to_pylist(), table["label"].to_pylist()
    require_room(output.parent, len(ids) * store.row_bytes, f"{len(ids):,} embeddings", "results")
    write_embeddings(output, ids, labels, hashes, store.rows(hashes), metadata)

    # A part that did not change keeps the summary of the job that embedded it long ago.
    counted = summary.with_name(f".{summary.stem}.counted")
    last = counted.stat().st_mtime_ns if counted.exists() else 0
    done = [
        part for path, part in zip(shards, parts, strict=True) if path.stat().st_mtime_ns > last
    ]
    embedded = counts.embedded + sum(shard["embedded"] for shard in done)
    seconds = time.monotonic() - started + sum(shard["seconds"] for shard in done)
    # What was pruned between a part and the table was embedded twice.
    counts = EmbedCounts(max(0, len(set(hashes)) - embedded), embedded, embedded)
    _write_summary(summary, len(hashes), counts, seconds, description)
    if shards:
        write_text(counted, "")


def embed_shard(
    manifest: Path,
    folder: Path,
    weights: Path,
    summary: Path,
    item: str,
    settings: EmbedSettings,
) -> None:
    """Put the embeddings of one part of a split into the store.

    Args:
        manifest: manifest/{split}.parquet.
        folder: of the split's images.
        weights: model.safetensors, with model.json beside it.
        summary: what was done, as for a whole split.
        item: `3-of-8`, as Snakemake names the parts.
        settings: how to do it.
    """
    started = time.monotonic()
    number, parts = read_item(item)
    table = usable(read_manifest(manifest))
    mine = [shard_of(sha256, parts) == number for sha256 in table["sha256"].to_pylist()]
    table = table.filter(pa.array(mine, pa.bool_()))
    _, description, counts = _fill_store(table, folder, weights, settings)
    seconds = time.monotonic() - started
    kind = choose_device(settings.device).type
    _write_summary(summary, len(table), counts, seconds, description, device=kind)


def _fill_store(
    table: pa.Table,
    folder: Path,
    weights: Path,
    settings: EmbedSettings,
    made_on: str | None = None,
) -> tuple[Store, dict[str, Any], EmbedCounts]:
    """Embed what the store lacks of a manifest's rows; returns it and the model's description.

    made_on: the kind of device that other jobs have embedded them on. Where they have, this one
    needs none of it.
    """
    keep_freed_memory()
    model, description = load_model(weights)
    # Snakemake starts what uses a model only when it has noted that its training is finished.
    forget(settings.cache / "training", description["digest"])
    kind = made_on or choose_device(settings.device).type
    image = ImageSettings.from_dict(description["image"])

    # Two kinds of device differ in the last bits, and so may two versions of the code.
    network = MODELS[description["model"]["name"]]
    code = module_digest(*EMBEDDERS, network.module, step="embed")
    built = [*network.built_by, versions(network.libraries)]
    embedder = [code, built, torch.__version__, PIL.__version__]
    place = f"{kind}-{digest_of(embedder)}"
    folder_of_model = settings.cache / "embeddings" / description["digest"]
    store = Store(
        folder_of_model / place, (description["model"]["embedding_dim"],), np.dtype(np.float32)
    )
    names = names_by_content(table)
    missing = store.missing(names)
    log.info(
        "embedding on %s: %d images, %d of distinct content, %d of these not yet embedded",
        kind,
        len(table),
        len(names),
        len(missing),
    )
    target = torch.device("cpu")
    require_room(
        settings.cache, len(missing) * store.row_bytes, f"{len(missing):,} embeddings", "cache"
    )
    if missing:
        if made_on is not None and not is_present(made_on):
            raise LookalikeError(
                f"{len(missing)} embeddings are not in the cache where the parts made theirs, on "
                f"{made_on}: they were pruned, or made on another kind of device; run again with "
                f"--forcerun embed_shard, and with `device: {made_on}` where some jobs found none"
            )
        target = torch.device(kind)
        model.to(target).to(memory_format=torch.channels_last)
    files = [(key, folder / names[key]) for key in missing]
    at_once = settings.batch_size * STORE_BATCHES
    with Progress("embedding", len(missing)) as progress:
        vectors = embed_files(model, files, image, target, settings, progress)
        for start in range(0, len(files), at_once):
            group = files[start : start + at_once]
            store.add([key for key, _ in group], np.stack(list(islice(vectors, len(group)))))
    store.remember()
    counts = EmbedCounts(len(names) - len(missing), len(missing), len(missing))
    return store, description, counts


def embed_files(
    model: nn.Module,
    files: Sequence[tuple[str, Path]],
    image: ImageSettings,
    device: torch.device,
    settings: EmbedSettings,
    progress: Progress,
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

    Yields:
        float32 [d] for each file, in order.

    Raises:
        LookalikeError: a file is not the one that the manifest saw, or an embedding is not finite.
    """
    size = settings.batch_size
    batches = [files[start : start + size] for start in range(0, len(files), size)]
    with closing(decoded(files, image, settings.threads)) as images:

        def load(batch: Sequence[tuple[str, Path]]) -> torch.Tensor:
            rows = [values for _, values in islice(images, len(batch))]
            return for_device(in_full_passes(np.stack(rows)), device)

        with closing(map_ahead(load, batches, threads=1, ahead=1)) as loaded:
            embedded = embed_batches(model, loaded, image)
            for batch, vectors in zip(batches, embedded, strict=True):
                require_finite_embeddings(vectors[: len(batch)], [path for _, path in batch])
                progress.update(len(batch))
                yield from vectors[: len(batch)]


def _write_summary(
    path: Path,
    images: int,
    counts: EmbedCounts,
    seconds: float,
    description: dict[str, Any],
    **more: str,
) -> None:
    facts = {"images": images, **asdict(counts), "seconds": round(seconds, 3)}
    write_json(path, facts | {"model_digest": description["digest"], **more})
