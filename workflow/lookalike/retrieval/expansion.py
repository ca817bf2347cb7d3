"""Query expansion and database augmentation: an embedding joined by those that are nearest to it.

Average query expansion: Chum et al. 2007; weighed by a power of the cosine: Radenović, Tolias and
Chum 2018. The same of the gallery's items, once and for all: Turcot and Lowe 2009, Arandjelović and
Zisserman 2012.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.neighbours import EmbeddingRows, Nearest
from lookalike.retrieval.scores import normalised, prepared
from lookalike.retrieval.streams import Items

_ROWS = 1024


def expanded(
    asked: Items, gallery: EmbeddingRows, found: Nearest, *, alpha: float, score: str
) -> Iterator[Float32s]:
    """The embeddings of `asked` joined by those of their neighbours, in blocks: float32 [m, d].

    x becomes x + sum of w_i y_i over its neighbours y_i, with w_i = max(0, cos(x, y_i))^alpha,
    which is 1 for alpha = 0; for `cosine` of rows of length 1 and brought to length 1 again, for
    `euclidean` divided by 1 + sum of w_i. An item without neighbours stays as it is.

    Args:
        asked: the n items.
        gallery: what their neighbours are taken from.
        found: their neighbours there.
        alpha: 0 or more; 0 for `euclidean`.
        score: "cosine" or "euclidean".

    Raises:
        LookalikeError: neighbours are to weigh by their cosine, and `score` is none.

    """
    if alpha and score != "cosine":
        raise LookalikeError(
            "search: neighbours weigh by their cosine (alpha), and these embeddings are compared "
            "by distance; set alpha: 0"
        )
    return _joined(asked, gallery, found, alpha, score)


def _joined(
    asked: Items, gallery: EmbeddingRows, found: Nearest, alpha: float, score: str
) -> Iterator[Float32s]:
    there = found.places >= 0
    weights: Values = np.where(there, _weights(found.scores, alpha), 0.0)
    rows = min(_ROWS, gallery.queries_at_once(found.places.shape[1]))
    start = 0
    for block in asked.vectors():
        for first in range(0, len(block), rows):
            some = prepared(block[first : first + rows], score)
            mine = slice(start + first, start + first + len(some))
            near = gallery.at(found.places[mine])
            sums, total = some.astype(np.float64), np.ones((len(some), 1))
            for place in range(near.shape[1]):
                weight = weights[mine, place][:, None]
                sums += weight * prepared(near[:, place], score)
                total += weight
            yield normalised(sums) if score == "cosine" else (sums / total).astype(np.float32)
        start += len(block)


def _weights(scores: Float32s, alpha: float) -> Values:
    if alpha == 0:
        return np.ones(scores.shape)
    return np.maximum(scores.astype(np.float64), 0.0) ** alpha
