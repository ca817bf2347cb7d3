"""The held-out step: training images that a run has never seen, asked for as if in the gallery."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.filling import EmbedSettings
from lookalike.embedding.tables import read_metadata, read_names, read_vectors
from lookalike.retrieval.carried_answers import carried_answers, held_out_anchors
from lookalike.steps.embed import embed_split
from lookalike.storage.files import write_parquet
from lookalike.storage.parquet import read_frame
from lookalike.training.held_out import Fold
from lookalike.training.unseen import unseen_images

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOutFiles:
    """What the step writes.

    Attributes:
        manifest: the rows of the training manifest that are held out.
        embeddings: their embeddings.
        summary: what was done for them, as of a split.
        answers: first answers as the gallery would give them, see `carried_answers`.
    """

    manifest: Path
    embeddings: Path
    summary: Path
    answers: Path


def write_held_out_answers(
    manifest: Path,
    folder: Path,
    weights: Path,
    per_query: Path,
    output: HeldOutFiles,
    validation: Mapping[str, Any],
    settings: EmbedSettings,
    *,
    trains: bool,
) -> None:
    """Embed training images of classes that a run was not trained on, and carry their scores over.

    Args:
        manifest: of the training images.
        folder: of these images.
        weights: model.safetensors, with model.json beside it.
        per_query: per_query.parquet of the run, for how many relevant and other items the gallery
            has of each query; no score of it is read.
        output: what to write; of a run that holds out no classes, tables without a row.
        validation: the recipe's, in which `of` is not `auto`.
        settings: how to embed.
        trains: whether the run trains anything; else it has seen none of the images.

    Raises:
        LookalikeError: a file cannot be read, or see `embed_split`.
    """
    table = usable(read_manifest(manifest))
    labels, contents = (_numbers(table[column]) for column in ("label", "sha256"))
    fold = Fold(validation["fold"], validation["folds"]) if "fold" in validation else None
    held_out = unseen_images(
        labels,
        contents,
        validation["of"],
        validation["classes"],
        validation["seed"],
        fold,
        np.unique(table["label"].to_numpy(zero_copy_only=False)).tolist(),
        trains=trains,
    )
    write_parquet(output.manifest, table.take(held_out))
    embed_split(output.manifest, folder, weights, output.embeddings, output.summary, [], settings)
    score = read_metadata(output.embeddings)["score"]
    vectors = list(read_vectors(output.embeddings))
    names = read_names(output.embeddings, ["image_id", "label"])
    of_each = _numbers(names["label"])
    counts = read_frame(per_query, ("n_relevant", "n_gallery"))
    n_relevant = counts["n_relevant"].to_numpy(np.int64)
    anchors = held_out_anchors(np.concatenate(vectors), of_each, score) if vectors else ()
    n_other = counts["n_gallery"].to_numpy(np.int64) - n_relevant
    carried = carried_answers(anchors, n_relevant, n_other, score)
    of_anchor = pa.array(carried.pop("anchor"))
    columns = {name: values.take(of_anchor) for name, values in names.items()}
    write_parquet(output.answers, pa.table(columns | carried))
    log.info(
        "%d of %d training images are of classes that nothing was trained on: %d classes",
        len(held_out),
        len(table),
        len(np.unique(of_each)),
    )


def _numbers(column: pa.Array | pa.ChunkedArray) -> Any:
    """Texts as numbers from 0: int64 [n], equal where they are."""
    texts = column.to_numpy(zero_copy_only=False)
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)
