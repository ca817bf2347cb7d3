"""The schedules by name. Imports none of them; see `lookalike.records`.

A builder takes nothing. What it returns is called with how much of the training after the warm-up
is done, 0 to 1, and returns the share of the highest learning rate.
"""

from __future__ import annotations

from lookalike.records import Table, Variant

SCHEDULES: Table[Variant] = Table(
    "optimizer.schedule",
    "schedule",
    Variant(
        "constant",
        "lookalike.training.schedules.constant:build",
        "the highest learning rate to the end",
        "the seed document",
    ),
    Variant(
        "cosine",
        "lookalike.training.schedules.cosine:build",
        "falls along half a cosine to 0 at the end",
        "Loshchilov and Hutter 2017, without restarts",
    ),
)
