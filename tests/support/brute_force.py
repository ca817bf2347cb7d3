"""Retrieval by the definitions, one loop at a time: what the tests hold the package against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Item:
    id: str
    label: str
    vector: tuple[int, ...]
    key: str


def hashed(text: str) -> int:
    """FNV-1a of 64 bits, then the finaliser of MurmurHash3."""
    value, all_bits = 0xCBF29CE484222325, 2**64 - 1
    for byte in text.encode("utf-8"):
        value = (value ^ byte) * 0x100000001B3 & all_bits
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & all_bits
    return value ^ value >> 33


def ordered(scores: Sequence[float], ids: Sequence[str]) -> list[int]:
    """Positions by decreasing score, equals by a hash of the id."""
    return sorted(range(len(ids)), key=lambda item: (-scores[item], hashed(ids[item]), ids[item]))


def relevant_ranks(hits: Sequence[bool]) -> list[int]:
    return [rank for rank, hit in enumerate(hits, start=1) if hit]


def bounds(scores: Sequence[float], relevant: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Ranks of the relevant where they stand first among equals, and where they stand last."""
    best = sorted(range(len(scores)), key=lambda item: (-scores[item], not relevant[item]))
    worst = sorted(range(len(scores)), key=lambda item: (-scores[item], relevant[item]))
    return (
        relevant_ranks([relevant[item] for item in best]),
        relevant_ranks([relevant[item] for item in worst]),
    )


def precision_sum(hits: Sequence[bool], k: int) -> float:
    found, result = 0, 0.0
    for i in range(1, min(k, len(hits)) + 1):
        if hits[i - 1]:
            found += 1
            result += found / i
    return result


METRICS: dict[str, Callable[[Sequence[bool], int], float]] = {
    "mAP@{k}": lambda hits, k: precision_sum(hits, k) / min(k, sum(hits)),
    "mAP@{k}/R": lambda hits, k: precision_sum(hits, k) / sum(hits),
    "mAP@{k}/hits": lambda hits, k: precision_sum(hits, k) / max(1, sum(hits[:k])),
    "precision@{k}": lambda hits, k: sum(hits[:k]) / k,
    "recall@{k}": lambda hits, k: sum(hits[:k]) / sum(hits),
    "CMC@{k}": lambda hits, k: 1.0 if any(hits[:k]) else 0.0,
    "mAP": lambda hits, _: precision_sum(hits, len(hits)) / sum(hits),
    "mAP@R": lambda hits, _: precision_sum(hits, sum(hits)) / sum(hits),
    "R-precision": lambda hits, _: sum(hits[: sum(hits)]) / sum(hits),
    "MRR": lambda hits, _: 1 / (hits.index(True) + 1),
    "mean_rank": lambda hits, _: float(hits.index(True) + 1),
    "median_rank": lambda hits, _: float(hits.index(True) + 1),
    "mean_rank_all": lambda hits, _: sum(relevant_ranks(hits)) / sum(hits),
}
"""Each metric of one query by its record's key, from its whole ranking and a cut-off: hits[i - 1]
says if rank i is relevant."""


def metrics(hits: Sequence[bool], ks: Sequence[int]) -> dict[str, float]:
    """Every metric of one query, at each cut-off."""
    return {key.format(k=k): loop(hits, k) for key, loop in METRICS.items() for k in ks}


def oml_average_precision(hits: Sequence[bool], k: int) -> float:
    """Open Metric Learning's `calc_map`: mean of the precisions at the hits among the first k."""
    top = [float(hit) for hit in hits[:k]]
    if not any(top):
        return 0.0
    precisions = [sum(top[: i + 1]) / (i + 1) for i in range(len(top))]
    return sum(p * hit for p, hit in zip(precisions, top, strict=True)) / sum(top)


def best_scores(scores: Sequence[float], relevant: Sequence[bool]) -> tuple[float, float]:
    """The best score of a relevant item, and of any other, in float32; NaN where there is none."""
    kinds: tuple[list[float], list[float]] = ([], [])
    for score, is_relevant in zip(scores, relevant, strict=True):
        kinds[0 if is_relevant else 1].append(float(np.float32(score)))
    return max(kinds[0], default=math.nan), max(kinds[1], default=math.nan)
