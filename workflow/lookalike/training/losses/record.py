"""What there is to know of one loss. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.records import Setting, Value, Variant
from lookalike.training.miners.record import Miner
from lookalike.training.miners.table import MINERS, NONE, OWN


@dataclass(frozen=True)
class Loss(Variant):
    """A loss.

    Attributes:
        angles: it knows directions alone: its constants have no meaning for distances.
        miner: the name of the miner that chooses among a batch's pairs or triplets for it; the
            miner's settings are keys of the loss beside its own.
        own_lr: the setting that is the learning rate of its own parameters, if it has such.
        compares_images: it compares the images of a batch with each other, so that a batch must
            hold two of one class, and two classes, to teach something.
        takes_miner: it is a sum over pairs or triplets, so that a recipe may choose the miner. What
            is built is called with what the miner found, see `lookalike.training.losses.table`.
        takes_memory: the second of a pair, or the second and third of a triplet, may be images of
            past batches.
        equal_counts: its batches must hold equally many images of each class.
        remedy: what gives it more to do, where it is 0 all the time.
    """

    angles: bool = False
    miner: str | None = None
    own_lr: str | None = None
    compares_images: bool = True
    takes_miner: bool = False
    takes_memory: bool = False
    equal_counts: bool = False
    remedy: str = ""

    @property
    def every_setting(self) -> tuple[Setting, ...]:
        """Its own and its miner's, which may share one."""
        of_miner = MINERS[self.miner].settings if self.miner else ()
        return tuple({setting.name: setting for setting in (*self.settings, *of_miner)}.values())

    def miner_of(self, chosen: str) -> Miner | None:
        """The miner that works for it where a recipe's `miner.name` is `chosen`."""
        if chosen == NONE or (chosen == OWN and self.miner is None):
            return None
        return MINERS[self.miner if chosen == OWN and self.miner else chosen]

    def own(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Those of `values` that its builder takes: not a learning rate, the optimizer's matter."""
        own = super().own(values)
        return {name: value for name, value in own.items() if name != self.own_lr}
