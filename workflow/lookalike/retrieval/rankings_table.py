"""Rankings as a table: a row for each place of each query."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.retrieval.relevance import Texts, as_texts

# Names that are gathered at once: Arrow's limit is 2 GiB of text.
_QUERIES_AT_ONCE = 10_000


def rankings_table(
    query_ids: Texts,
    gallery_ids: Texts,
    places: NDArray[np.integer],
    scores: NDArray[np.float32],
    relevant: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """The first places of every query: `query_id`, `rank`, `gallery_id`, `score`, `relevant`.

    Args:
        query_ids: Q names.
        gallery_ids: N names.
        places: integers [Q, depth], positions in the gallery, -1 beyond its end.
        scores: float32 [Q, depth].
        relevant: bool [Q, depth]; without it the column is not there.

    """
    query_ids, gallery_ids = as_texts(query_ids), as_texts(gallery_ids)
    tables = []
    for start in range(0, max(len(places), 1), _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        query, place = np.nonzero(places[rows] >= 0)
        at = query + start, place
        columns = {
            "query_id": query_ids.take(at[0]),
            "rank": pa.array(place + 1),
            "gallery_id": gallery_ids.take(places[at]),
            "score": pa.array(scores[at]),
        }
        if relevant is not None:
            columns["relevant"] = pa.array(relevant[at])
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)
