"""What there is to know of one miner. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.records import Variant


@dataclass(frozen=True)
class Miner(Variant):
    """A miner.

    Attributes:
        angles: its constants are cosines or angles, without meaning for embeddings of any length.
    """

    angles: bool = False
