"""The features that a head is trained on: of each training image, and of changed views of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookalike.embedding.filling import Embedder, EmbedSettings, fill_store
from lookalike.images.pixel_store import names_by_content
from lookalike.provenance import module_digest, versions
from lookalike.storage.rows import Rows, RowSource
from lookalike.training.augmentations.table import AUGMENTATIONS, CHAIN
from lookalike.training.views import view_changes

log = logging.getLogger(__name__)


def training_features(
    table: pa.Table,
    folder: Path,
    embedder: Embedder,
    settings: EmbedSettings,
    device: torch.device,
    n_views: int,
    changes: Mapping[str, float],
) -> Views:
    """The features of a manifest's images, computing only those that are not kept.

    Args:
        table: the usable rows of the training images' manifest.
        folder: of the images.
        embedder: of the features.
        settings: how to embed.
        device: where.
        n_views: views of each image that are changed at random, beside the image as it is.
        changes: a recipe's `augment` mapping.

    Returns:
        float32 rows [1 + n_views, n_features]; none of them is in memory.
    """
    started = time.monotonic()
    names = names_by_content(table)
    sources: list[RowSource] = []
    made = 0
    for view in range(1 + n_views):
        change = view_changes(view, changes, embedder.image.size) if view else None
        drawn = {"view": view, **_what_draws(changes)} if view else None
        store = embedder.store(settings.cache, device.type, drawn)
        missing = store.missing(names)
        made += len(missing)
        files = {key: folder / names[key] for key in missing}
        fill_store(store, embedder, files, device, settings, change)
        sources.append(store.rows(table["sha256"].to_pylist()))
    log.info(
        "features: %d images, %d views of each; %d from the cache, %d computed; %.1f s",
        len(names),
        len(sources),
        len(names) * len(sources) - made,
        made,
        time.monotonic() - started,
    )
    return Views(sources)


def _what_draws(changes: Mapping[str, float]) -> dict[str, Any]:
    """All that a changed view comes from, beside the image: settings, code and library."""
    chosen = [*AUGMENTATIONS.switched_on(changes), CHAIN]
    return {
        "changes": {
            name: value for change in chosen for name, value in change.own(changes).items()
        },
        "code": module_digest(view_changes.__module__, *(one.module for one in chosen)),
        "software": versions(["kornia"]),
    }


@dataclass(frozen=True)
class Views:
    """Several rows for each image, side by side; a RowSource.

    Attributes:
        sources: of each view, float32 [n, n_features].
    """

    sources: Sequence[RowSource]

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, views, features."""
        n, *row = self.sources[0].shape
        return n, len(self.sources), *row

    def __len__(self) -> int:
        return len(self.sources[0])

    def __getitem__(self, rows: Any, /) -> Rows:
        """The rows of a slice, an int64 array or a mask: [n, views, n_features]."""
        return np.stack([source[rows] for source in self.sources], axis=1)
