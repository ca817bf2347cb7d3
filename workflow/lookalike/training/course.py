"""How long a training lasts, and where its epochs end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from lookalike.training.recipe import Recipe

if TYPE_CHECKING:
    from lookalike.training.decks import Indices

# Parts of a training whose length is given in steps: its epochs, for the log, for what is counted
# in epochs (warm-up, validations) and for the state that is kept.
PARTS = 30


@dataclass(frozen=True)
class Course:
    """The epochs of a training.

    Where the recipe names their number, an epoch is a pass over the training images. Where it
    names steps (`epochs: auto`), it is a thirtieth of these, or a single step of fewer than 30:
    the batches of pass after pass come in their order, whatever part of a pass that is.

    Attributes:
        epochs: how many.
        steps: of the whole training, where the recipe names them.
    """

    epochs: int
    steps: int | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Course:
        """The one that a recipe asks for."""
        if recipe.epochs is not None:
            return cls(recipe.epochs)
        return cls(epochs_of_steps(recipe.steps), recipe.steps)

    def steps_before(self, epoch: int) -> int:
        """Steps of all epochs before one (from 1), where the steps are given."""
        return (epoch - 1) * (self.steps or 0) // self.epochs

    def done(self, epoch: int, step: int, steps: int) -> float:
        """How many epochs are done, as the learning rate counts them.

        Args:
            epoch: the one in which the training is, from 1.
            step: steps done of it.
            steps: that it has.
        """
        if self.steps is None:
            return epoch - 1 + step / steps
        return (self.steps_before(epoch) + step) * self.epochs / self.steps

    def steps_left(self, epoch: int, step: int, steps: int) -> int:
        """Steps of the whole training that are still to be done; see `done`."""
        if self.steps is None:
            return (self.epochs - epoch + 1) * steps - step
        return self.steps - self.steps_before(epoch) - step

    def validations_left(self, epoch: int, every: int) -> int:
        """Validations still to come where one follows every so many epochs, `epoch` not done."""
        return self.epochs // every - (epoch - 1) // every

    def drawer(
        self, draw: Callable[[int], list[Indices]], first: int
    ) -> Callable[[int], list[Indices]]:
        """What draws the batches of an epoch.

        Args:
            draw: makes the batches of a pass over the training images, by its number from 1.
            first: epoch to be drawn, from 1.

        Returns:
            A function to be called for each epoch from `first` on, in order.
        """
        if self.steps is None:
            return draw
        batches = chain.from_iterable(map(draw, count(1)))
        _leave_out(batches, self.steps_before(first))

        def part(epoch: int) -> list[Indices]:
            return list(islice(batches, self.steps_before(epoch + 1) - self.steps_before(epoch)))

        return part

    def validated(self, every: int, n_embedded: int, batch_size: int) -> int:
        """Epochs between two validations.

        As many as asked for; where the steps are given, as many more as it takes that no more
        images are embedded than were trained on meanwhile. So short epochs do not make a training
        of validations.

        Args:
            every: as asked for.
            n_embedded: images that a validation embeds.
            batch_size: images in a batch.
        """
        if self.steps is None:
            return every
        images = max(1, self.steps * batch_size // self.epochs)
        return min(max(every, -(-n_embedded // images)), max(every, self.epochs))


def epochs_of_steps(steps: int) -> int:
    """The epochs of a training whose length is given in steps."""
    return min(PARTS, steps)


def _leave_out(items: Iterable[object], n: int) -> None:
    for _ in islice(items, n):
        pass
