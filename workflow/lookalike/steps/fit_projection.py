"""Fit whitening or truncation on the embedded training images."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from lookalike.embedding.tables import read_metadata, read_vectors
from lookalike.retrieval.projection import moments_of, truncation, whitening
from lookalike.storage.files import whole, write_json

log = logging.getLogger(__name__)


def fit_projection(
    training: Path, output: Path, summary: Path, settings: Mapping[str, Any], *, whiten: bool
) -> None:
    """Write the principal components of a run's embedded training images.

    Args:
        training: embeddings/train.parquet.
        output: projection.safetensors, see `lookalike.retrieval.projection.Projection`: `offset`,
            `matrix` and `variances` in float64.
        summary: search.json: `images` it was fitted on, `dim` and `bytes_per_image` of what comes
            out, `dim_before`, and `variance_kept`.
        settings: `dim` ("all" or a number), and `shrink` where it whitens.
        whiten: whether variances become 1, or dimensions are left out alone.

    Raises:
        LookalikeError: there are fewer than two training images, or they are all alike.

    """
    unit = read_metadata(training)["score"] == "cosine"
    moments = moments_of(lambda: read_vectors(training))
    dim = settings["dim"]
    found = (
        whitening(moments, None if dim == "all" else dim, settings["shrink"], unit=unit)
        if whiten
        else truncation(moments, dim, unit=unit)
    )
    kept, before = found.matrix.shape
    wanted = before if dim == "all" else dim
    if kept < wanted:
        log.warning(
            "warning: the embeddings of %d training images vary in %d dimensions alone: so many "
            "are kept, not %d",
            found.n,
            kept,
            wanted,
        )
    tensors = {"offset": found.offset, "matrix": found.matrix, "variances": found.variances}
    with whole(output) as beside:
        beside.write_bytes(save({name: values.copy() for name, values in tensors.items()}))
    write_json(
        summary,
        {
            "images": found.n,
            "dim": kept,
            "dim_before": before,
            "variance_kept": found.kept,
            "bytes_per_image": 4 * kept,
        },
    )
    log.info(
        "%d of %d dimensions keep %.1f %% of the variance of %d training images",
        kept,
        before,
        100 * found.kept,
        found.n,
    )
