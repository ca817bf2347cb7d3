"""One short sentence for each metric, for whoever reads a number for the first time."""

from __future__ import annotations

_AT_K = {
    "mAP@{k}": "Average precision in the first {k} places, mean over the queries: 1 when right "
    "images fill them, or all there are come first.",
    "mAP@{k}/R": "The same sum as mAP@{k}, divided by the number of right images in the gallery.",
    "mAP@{k}/hits": "The same sum as mAP@{k}, divided by the right images among the first {k}.",
    "precision@{k}": "Share of the first {k} places that hold right images.",
    "recall@{k}": "Share of all right images that stand in the first {k} places.",
    "CMC@{k}": "Share of queries with at least one right image in the first {k} places.",
}
_WHOLE = {
    "mAP": "Average precision over the whole ranking.",
    "mAP@R": "Average precision in as many places as there are right images.",
    "R-precision": "Share of right images in as many places as there are right images.",
    "MRR": "Mean of 1 / place of the first right image.",
    "mean_rank": "Place of the first right image in the whole gallery, mean over the queries: "
    "1 is perfect, less is better.",
    "median_rank": "Place of the first right image, median over the queries: less is better.",
    "mean_rank_all": "Mean place of all right images: less is better.",
}


def explain(key: str) -> str:
    """What the metric named `key` says, in one sentence; empty for a metric not known here."""
    if key == "mAP@1":
        return "Share of queries whose first gallery image is right."
    if key in _WHOLE:
        return _WHOLE[key]
    name, _, rest = key.partition("@")
    k, slash, tail = rest.partition("/")
    return _AT_K.get(f"{name}@{{k}}{slash}{tail}", "").format(k=k)
