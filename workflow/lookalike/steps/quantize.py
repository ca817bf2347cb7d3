"""Keep a run's embeddings in a byte a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lookalike.embedding.tables import read_metadata, read_vectors
from lookalike.embedding.transformed import write_transformed
from lookalike.retrieval.quantization import bytes_each, quantized
from lookalike.storage.files import write_json


def quantize(sources: Sequence[Path], outputs: Sequence[Path], summary: Path) -> None:
    """Write tables of what is left of embeddings in a byte a number.

    Args:
        sources: the embeddings of the network, of queries and gallery.
        outputs: a table for each, of float32 numbers as those are.
        summary: search.json: `dim`, and `bytes_per_image` in such bytes.

    """
    for source, output in zip(sources, outputs, strict=True):
        width = width_of(source)
        vectors = map(quantized, read_vectors(source))
        write_transformed(source, output, vectors, width, made_by="int8")
    score = read_metadata(sources[0])["score"]
    width = width_of(sources[-1])
    write_json(summary, {"dim": width, "bytes_per_image": bytes_each(width, score)})


def width_of(table: Path) -> int:
    """Numbers in each embedding of a table; 0 where it has no rows."""
    return next((vectors.shape[1] for vectors in read_vectors(table, rows=1)), 0)
