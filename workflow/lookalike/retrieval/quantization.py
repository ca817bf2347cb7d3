"""Embeddings in a byte a number: by a scale of each embedding, symmetric about 0."""

from __future__ import annotations

import numpy as np

from lookalike.retrieval.arrays import Float32s, Values

LEVELS = 127
"""Whole numbers from -127 to 127 stand for an embedding's numbers."""


def quantized(vectors: Float32s) -> Float32s:
    """What is left of embeddings that were kept in a byte a number, float32 [n, d].

    x becomes s round(x / s) with s = max |x| / 127; a number half-way between two goes to the even
    one. Kept are the bytes, and where not compared by cosine (which s has no part in) s as well. No
    other embedding decides one's bytes.
    """
    wide = vectors.astype(np.float64)
    scale: Values = np.abs(wide).max(axis=1, keepdims=True) / LEVELS
    whole = np.rint(wide / np.where(scale > 0, scale, 1))
    return (whole * scale).astype(np.float32)


def bytes_each(width: int, score: str) -> int:
    """Bytes that an embedding of so many numbers takes so."""
    return width if score == "cosine" else width + 4
