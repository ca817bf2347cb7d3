"""The embed step: what the store has is read, the rest is decoded and sent through the network."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from lookalike import __version__
from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.filling import EmbedSettings, fill_store, parts_of_model
from lookalike.embedding.heads import HeadRows
from lookalike.embedding.shards import read_item, shard_of
from lookalike.embedding.tables import write_embeddings
from lookalike.errors import LookalikeError
from lookalike.images.pixel_store import names_by_content
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.preflight import require_room
from lookalike.jobs.torch_devices import choose_device, is_present
from lookalike.models.files import load_model
from lookalike.models.settings import ModelSettings
from lookalike.storage.cache import forget
from lookalike.storage.files import read_json, write_json, write_text
from lookalike.storage.row_store import Store
from lookalike.storage.rows import RowSource

log = logging.getLogger(__name__)


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
    store, head, description, counts = _fill_store(
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
    width = description["model"]["embedding_dim"]
    require_room(output.parent, len(ids) * width * 4, f"{len(ids):,} embeddings", "results")
    rows: RowSource = store.rows(hashes)
    vectors = rows if head is None else HeadRows(rows, head, width)
    write_embeddings(output, ids, labels, hashes, vectors, metadata)

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
    _, _, description, counts = _fill_store(table, folder, weights, settings)
    seconds = time.monotonic() - started
    kind = choose_device(settings.device).type
    _write_summary(summary, len(table), counts, seconds, description, device=kind)


def _fill_store(
    table: pa.Table,
    folder: Path,
    weights: Path,
    settings: EmbedSettings,
    made_on: str | None = None,
) -> tuple[Store, nn.Module | None, dict[str, Any], EmbedCounts]:
    """Embed what the store lacks of a manifest's rows.

    Returns the store, the head that its rows are to be sent through (see `parts_of_model`), the
    model's description, and what was done.

    made_on: the kind of device that other jobs have embedded them on. Where they have, this one
    needs none of it.
    """
    keep_freed_memory()
    model, description = load_model(weights)
    # Snakemake starts what uses a model only when it has noted that its training is finished.
    forget(settings.cache / "training", description["digest"])
    kind = made_on or choose_device(settings.device).type
    embedder, head = parts_of_model(model, description)
    store = embedder.store(settings.cache, kind)
    names = names_by_content(table)
    missing = store.missing(names)
    log.info(
        "embedding on %s: %d images, %d of distinct content, %d of these not yet embedded",
        kind,
        len(table),
        len(names),
        len(missing),
    )
    if missing and made_on is not None and not is_present(made_on):
        raise LookalikeError(
            f"{len(missing)} embeddings are not in the cache where the parts made theirs, on "
            f"{made_on}: they were pruned, or made on another kind of device; run again with "
            f"--forcerun embed_shard, and with `device: {made_on}` where some jobs found none"
        )
    device = torch.device(kind if missing else "cpu")
    fill_store(store, embedder, {key: folder / names[key] for key in missing}, device, settings)
    counts = EmbedCounts(len(names) - len(missing), len(missing), len(missing))
    return store, head, description, counts


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
