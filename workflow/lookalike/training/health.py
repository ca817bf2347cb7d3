"""The health of a training: its means over an epoch, and the two ways in which it goes wrong."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.errors import LookalikeError
from lookalike.training.losses.value import LossValue

# The spread of a batch's embeddings (see `relative_spread`) below which all images look the same.
COLLAPSED = 1e-4
# Steps between two checks of the loss: each makes a GPU wait.
CHECK_EVERY = 50


class TrainingHealth:
    """Sums of one epoch so far.

    Args:
        epoch: its number, for messages.
        steps_done: of it, before.
        sums: of these steps, as `sums` had them.
    """

    def __init__(
        self, epoch: int, steps_done: int = 0, sums: dict[str, float] | None = None
    ) -> None:
        self.epoch, self.steps_done = epoch, steps_done
        self.sums: dict[str, float] = dict(sums or {})
        self._since: dict[str, list[Tensor]] = {}
        self._last_loss: float | None = None

    def record_step(self, value: LossValue, embeddings: Tensor, labels: NDArray[np.int64]) -> None:
        """Take note of a step; every so many steps, check whether all is well.

        Args:
            value: the loss of its batch.
            embeddings: float32 [n, d], of the batch.
            labels: int64 [n], likewise.
        """
        self.steps_done += 1
        n_classes = len(np.unique(labels))
        for name, true in (
            ("without_positives", n_classes == len(labels)),
            ("without_negatives", n_classes == 1),
        ):
            self.sums[name] = self.sums.get(name, 0.0) + true
        loss = value.loss.detach()
        noted = {"loss": loss, "spread": relative_spread(embeddings), "zero_loss": loss == 0}
        if value.active_negatives is not None:
            noted["active_negatives"] = value.active_negatives.detach()
        for name, number in noted.items():
            self._since.setdefault(name, []).append(number)
        if len(self._since["loss"]) == CHECK_EVERY:
            self.check()

    def check(self) -> None:
        """Bring the sums up to date.

        Raises:
            LookalikeError: the loss was not finite, or the embeddings collapsed to a point.
        """
        if not self._since:
            return
        since = {name: torch.stack(steps).double().cpu() for name, steps in self._since.items()}
        losses = since["loss"]
        if not bool(torch.isfinite(losses).all()):
            at = int((~torch.isfinite(losses)).nonzero()[0])
            raise LookalikeError(
                f"training stopped: the loss is {float(losses[at])} at epoch {self.epoch}, "
                f"step {self.steps_done - len(losses) + at + 1}; a lower optimizer.lr or precision "
                "float32 may help"
            )
        spread = float(since["spread"].mean())
        if not spread > COLLAPSED:
            raise LookalikeError(
                f"training stopped: in epoch {self.epoch} the embeddings collapsed to one point "
                f"(their spread is {spread:.1e} of their length), so every image looks alike to "
                "the network; a smaller loss.margin, a lower optimizer.lr, balanced batches or "
                "batch_norm may help"
            )
        for name, numbers in since.items():
            # One by one: the sum is the same however often it was checked in between.
            for number in numbers.tolist():
                self.sums[name] = self.sums.get(name, 0.0) + number
        self._since = {}
        self._last_loss = float(losses[-1])

    def progress_note(self) -> str:
        """The last loss checked, for the progress bar."""
        return "" if self._last_loss is None else f"loss {self._last_loss:.4f}"

    def means(self) -> dict[str, float | None]:
        """Means over the steps.

        `loss`; `active_negatives`, see `LossValue` (None where the loss has no margin); `spread`,
        see `relative_spread`; the shares of steps whose loss was exactly 0 (`zero_loss`), whose
        batch had no two images of one class (`without_positives`), or of one class alone
        (`without_negatives`).
        """
        means = {name: total / self.steps_done for name, total in self.sums.items()}
        return {"active_negatives": None, **means}


def relative_spread(embeddings: Tensor) -> Tensor:
    """Root mean square distance from the mean embedding, over the root mean square length.

    0 where all embeddings are one point, near 1 where they point in all directions.

    Args:
        embeddings: float32 [n, d].

    Returns:
        Scalar tensor.
    """
    away = (embeddings - embeddings.mean(dim=0)).square().sum(dim=1).mean()
    length = embeddings.square().sum(dim=1).mean()
    return (away / length.clamp(min=torch.finfo(length.dtype).tiny)).sqrt()
