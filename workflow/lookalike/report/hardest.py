"""Which queries of a scored run deserve a look."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd


def hardest(per_query: pd.DataFrame, key: str, count: int) -> list[str]:
    """Ids of the `count` queries with the lowest value of metric `key`, the hardest first.

    Among equals the one whose first right image comes later is the harder. A query with nothing
    to find is not hard but void, and left out.
    """
    fair = per_query[per_query["scored"] & (per_query["n_relevant"] > 0)]
    ordered = fair.sort_values([key, "first_rank", "query_id"], ascending=[True, False, True])
    return list(ordered["query_id"].head(count))


def one_a_class(queries: Sequence[str], per_query: pd.DataFrame, count: int) -> list[str]:
    """At most `count` of `queries` in their order, of each class the first alone."""
    labels = per_query.set_index("query_id").loc[list(queries), "label"]
    first = labels[~labels.duplicated()]
    return [str(query) for query in first.index[:count]]


def sample(per_query: pd.DataFrame, count: int, without: Sequence[str] = ()) -> list[str]:
    """Ids of `count` scored queries other than `without`, drawn by the hash of their ids.

    As good as random, yet the same from run to run and little changed when queries come or go.
    """
    left_out = set(without)
    fair = per_query[per_query["scored"] & (per_query["n_relevant"] > 0)]
    ids = (query for query in fair["query_id"] if query not in left_out)
    return sorted(ids, key=lambda query: hashlib.sha256(query.encode()).digest())[:count]
