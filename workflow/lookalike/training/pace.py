"""How fast a training goes, and how long it will take from here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

from lookalike.jobs.progress import duration_in_words
from lookalike.training.course import Course

log = logging.getLogger(__name__)

ENOUGH = 5.0
"""Seconds of steps after which the rest is foretold."""
FORWARD = 0.25
"""What it takes to embed an image, in images trained on: a step goes forwards and backwards."""


class Pace:
    """Counts the work of a training that is done in this process.

    Work is counted in images that are trained on; one that is embedded for a validation counts for
    `FORWARD`. The first step is not counted: it makes ready what the others find.

    Args:
        course: of the training.
        batch_size: images in a step.
        n_embedded: images that a validation embeds.
        every: epochs between two validations.
        training: what it is, for the log, from `training_in_words`.
        may_end: whether the training may end before its last epoch.
        clock: seconds, from any time on.
    """

    def __init__(
        self,
        course: Course,
        batch_size: int,
        n_embedded: int,
        every: int,
        training: str,
        *,
        may_end: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.course, self.every, self.training = course, every, training
        self._step, self._validation = float(batch_size), FORWARD * n_embedded
        self._about, self._clock = "at most about" if may_end else "about", clock
        self._done, self._is_told = 0.0, False
        self._began: float | None = None

    def stepped(self, note: str, epoch: int, step: int, steps: int) -> str:
        """Note that a step is done; says once in the log how long all takes, once that is known.

        Args:
            note: what else stands beside the count of steps.
            epoch: as for `seconds_left`, and so are the others.
            step: likewise.
            steps: likewise.

        Returns:
            The note, with the time that the rest will take.
        """
        if self._began is None:
            self._began = self._clock()
            return note
        self._done += self._step
        left = self.left(epoch, step, steps)
        if left and not self._is_told and self._clock() - self._began >= ENOUGH:
            self._is_told = True
            log.info("training: %s, %s", self.training, left)
        return ", ".join(filter(None, [note, left and f"of the training {left}"]))

    def validated(self) -> None:
        """Note that a validation is done."""
        if self._began is not None:
            self._done += self._validation

    def seconds_left(self, epoch: int, step: int, steps: int) -> float | None:
        """How long the rest will take, in seconds; None where nothing is known yet.

        Args:
            epoch: the one in which the training is, from 1.
            step: steps done of it.
            steps: that it has.
        """
        if self._began is None or not self._done:
            return None
        work = self.course.steps_left(epoch, step, steps) * self._step
        work += self.course.validations_left(epoch, self.every) * self._validation
        return work * (self._clock() - self._began) / self._done

    def left(self, epoch: int, step: int, steps: int) -> str:
        """The same in words; empty where nothing is left, or known."""
        seconds = self.seconds_left(epoch, step, steps)
        return f"{self._about} {duration_in_words(seconds)} left" if seconds else ""


def training_in_words(course: Course, images: int, form: str, device: torch.device) -> str:
    """What a whole training is: `30 epochs x 40,000 images at 224 px on 2 threads`.

    Args:
        course: its epochs.
        images: that are trained on.
        form: what the network sees of them, see `lookalike.training.feeds.TrainingSet`.
        device: that it is done on.
    """
    length = f"{course.epochs} epochs x {images:,} {form}"
    if course.steps is not None:
        length = f"{course.steps:,} steps, of {images:,} {form}"
    return f"{length} on {torch.get_num_threads()} threads" if device.type == "cpu" else length
