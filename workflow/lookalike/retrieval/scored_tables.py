"""Which model and which gallery an evaluation is of: what is chosen by it holds for these alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from lookalike.embedding.tables import read_names
from lookalike.errors import LookalikeError
from lookalike.retrieval.tables import EmbeddingTable

GALLERY_COLUMNS = ("image_id", "label", "sha256")
"""What a gallery is known by, beside its model: with this the embeddings are given."""


def scored_tables(queries: EmbeddingTable, gallery: EmbeddingTable) -> dict[str, str | None]:
    """`model_digest` and `gallery_digest`, as metrics.json has them.

    Both are None where the tables do not say of one model that it made them: they come from
    elsewhere. The digest of the gallery alone is where its images' hashes were left out.
    """
    models = [table.metadata().get("model_digest") for table in (queries, gallery)]
    if not gallery.is_file or not models[0] or models[0] != models[1]:
        return {"model_digest": None, "gallery_digest": None}
    try:
        names = read_names(Path(gallery.name), GALLERY_COLUMNS)
    except LookalikeError:
        return {"model_digest": str(models[0]), "gallery_digest": None}
    return {"model_digest": str(models[0]), "gallery_digest": gallery_digest(names)}


def gallery_digest(names: Mapping[str, pa.StringArray]) -> str:
    """32 hexadecimal digits of what `GALLERY_COLUMNS` hold, row by row."""
    digest = hashlib.sha256()
    for column in GALLERY_COLUMNS:
        texts = names[column].cast(pa.large_string())
        _, offsets, content = texts.buffers()
        ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        # Where each text ends, then all of them in one piece.
        digest.update((ends - ends[:1]).astype("<i8").data)
        digest.update(memoryview(content or b"")[ends[0] : ends[-1]] if len(texts) else b"")
    return digest.hexdigest()[:32]
