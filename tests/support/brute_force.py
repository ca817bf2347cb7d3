"""Retrieval by the definitions, one loop at a time: what the tests hold the package against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def metrics(hits: Sequence[bool], ks: Sequence[int]) -> dict[str, float]:
    """Every metric of one query from its whole ranking: hits[i - 1] says if rank i is relevant."""
    total = sum(hits)

    def precision_sum(k: int) -> float:
        found, result = 0, 0.0
        for i in range(1, min(k, len(hits)) + 1):
            if hits[i - 1]:
                found += 1
                result += found / i
        return result

    values: dict[str, float] = {}
    for k in ks:
        found = sum(hits[:k])
        values[f"mAP@{k}"] = precision_sum(k) / min(k, total)
        values[f"mAP@{k}/R"] = precision_sum(k) / total
        values[f"mAP@{k}/hits"] = precision_sum(k) / max(1, found)
        values[f"precision@{k}"] = found / k
        values[f"recall@{k}"] = found / total
        values[f"CMC@{k}"] = 1.0 if found else 0.0
    first = hits.index(True) + 1
    values["mAP"] = precision_sum(len(hits)) / total
    values["mAP@R"] = precision_sum(total) / total
    values["R-precision"] = sum(hits[:total]) / total
    values["MRR"] = 1 / first
    values["mean_rank"] = values["median_rank"] = float(first)
    values["mean_rank_all"] = sum(relevant_ranks(hits)) / total
    return values


def oml_average_precision(hits: Sequence[bool], k: int) -> float:
    """Open Metric Learning's `calc_map`: mean of the precisions at the hits among the first k."""
    top = [float(hit) for hit in hits[:k]]
    if not any(top):
        return 0.0
    precisions = [sum(top[: i + 1]) / (i + 1) for i in range(len(top))]
    return sum(p * hit for p, hit in zip(precisions, top, strict=True)) / sum(top)
