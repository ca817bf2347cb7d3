"""Which metrics stand on cards at the top of the page, and which in the table of recipes."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.report.outcome import telling_cut_off
from lookalike.retrieval.metrics import headline_keys, metrics_at


def table_keys(ks: Sequence[int]) -> list[str]:
    """The headline, with the share of queries that find something in the first places.

    >>> table_keys([1, 10, 50])
    ['mAP@1', 'CMC@10', 'mAP@10', 'mAP@50', 'mean_rank']
    """
    keys, k = headline_keys(sorted(set(ks))), telling_cut_off(ks)
    if k > 1:  # at 1 both are the share of queries whose first image is right
        keys.insert(keys.index(f"mAP@{k}"), f"CMC@{k}")
    return keys


def card_keys(ks: Sequence[int]) -> list[str]:
    """The same at the least cut-off, and at the one that tells the most, alone.

    >>> card_keys([1, 10, 50])
    ['mAP@1', 'CMC@10', 'mAP@10', 'mean_rank']
    """
    of_keys = metrics_at(ks)
    told = {0, min(ks), telling_cut_off(ks)}
    return [key for key in table_keys(ks) if of_keys[key][1] in told]
