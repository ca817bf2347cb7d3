"""Send a run's embeddings through its whitening or truncation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.numpy import load_file

from lookalike.embedding.tables import read_metadata, read_vectors
from lookalike.embedding.transformed import write_transformed
from lookalike.retrieval.projection import Projection, projected
from lookalike.storage.files import sha256_of_file


def project(projection: Path, sources: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Write tables of projected embeddings.

    Args:
        projection: projection.safetensors, see `lookalike.steps.fit_projection`.
        sources: the embeddings of the network.
        outputs: a table for each.

    """
    tensors, made_by = load_file(projection), sha256_of_file(projection)
    for source, output in zip(sources, outputs, strict=True):
        unit = read_metadata(source)["score"] == "cosine"
        found = Projection(tensors["offset"], tensors["matrix"], tensors["variances"], 0, unit=unit)
        write_transformed(
            source,
            output,
            projected(read_vectors(source), found),
            len(found.matrix),
            made_by=made_by,
        )
