"""The training loop."""

from __future__ import annotations

import logging
import time
from contextlib import closing

import numpy as np
import torch
import torch.distributed
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.jobs.interruption import Interrupted, Interruption
from lookalike.jobs.lookahead import map_ahead
from lookalike.jobs.progress import Progress
from lookalike.training.checkpoints import Checkpoint, Position
from lookalike.training.distributed import (
    gathered,
    own_images,
    same_gradients,
    with_global_batch_norm,
)
from lookalike.training.feeds import TrainingSet
from lookalike.training.health import TrainingHealth
from lookalike.training.lessons import never_taught, taught_nothing
from lookalike.training.losses.building import build_loss, own_lr
from lookalike.training.optimization import build_optimizer, set_learning_rates, share_of_rate
from lookalike.training.plan import log_plan
from lookalike.training.recipe import Recipe
from lookalike.training.sampling import epoch_batches, hold_out_classes
from lookalike.training.validation import leave_one_out_map

log = logging.getLogger(__name__)

VALIDATION_K = 10
# Seconds between two times that the state is kept in the middle of an epoch: what a kill without
# warning costs at most.
SAVE_EVERY = 300.0
# Steps between two times that several processes ask each other whether to stop: a GPU waits then.
AGREE_EVERY = 10

Epoch = dict[str, float | int | None]


def train(
    model: nn.Module,
    data: TrainingSet,
    recipe: Recipe,
    seed: int,
    fabric: Fabric,
    checkpoint: Checkpoint,
) -> list[Epoch]:
    """Train `model` in place, by a recipe.

    All chance (batches, augmentation, held-out classes) is a function of seed, epoch and step, so
    a run that goes on from its checkpoint ends as one that was never stopped; several processes
    share the work of each batch and come to what one would, but for rounding.

    While the network works on a batch, the next one is read. So two batches are in memory, however
    many images there are; a validation holds the embeddings of the held-out images beside.

    Args:
        model: the network, on the CPU, as it is before the first step.
        data: the training images.
        recipe: how.
        seed: of the run.
        fabric: device, precision and processes, from `lookalike.training.distributed.fabric_for`.
        checkpoint: where the state is kept until the run is done: after each epoch, now and then
            in its middle, and when a signal asks for it.

    Returns:
        One mapping per epoch: the columns of history.parquet.

    Raises:
        LookalikeError: the loss is not finite, the embeddings collapsed to a point, or an image
            cannot be read.
        Interrupted: a signal asked to end; the state is kept.
    """
    training = Training(model, data, recipe, seed, fabric, checkpoint)
    interruption = Interruption()
    with interruption.noted():
        history = training.run(interruption)
    model.cpu()
    return history


class Training:
    """A network, its data and its optimizer, in the midst of a training; see `train`."""

    def __init__(
        self,
        model: nn.Module,
        data: TrainingSet,
        recipe: Recipe,
        seed: int,
        fabric: Fabric,
        checkpoint: Checkpoint,
    ) -> None:
        self.data, self.recipe, self.seed = data, recipe, seed
        self.fabric, self.checkpoint = fabric, checkpoint
        chosen, held_out = hold_out_classes(data.labels, recipe.validation.classes, seed)
        self.chosen, self.held_out = chosen, held_out
        self.labels = np.unique(data.labels[chosen], return_inverse=True)[1]
        log_plan(self.labels, len(held_out), data.labels, recipe)

        self.bare = model.to(memory_format=torch.channels_last)
        if fabric.world_size > 1:
            with_global_batch_norm(self.bare)
        n_classes, dimension = int(self.labels.max()) + 1, recipe.model.embedding_dim
        loss = build_loss(recipe.loss, n_classes, dimension, hash_seed(seed))
        self.loss_of = loss.to(fabric.device)
        optimizer = build_optimizer(self.bare, recipe.optimizer, loss, own_lr(recipe.loss))
        self.network, self.optimizer = fabric.setup(self.bare, optimizer)
        self.feed = data.feed(recipe.augment, fabric.device)

    def run(self, interruption: Interruption) -> list[Epoch]:
        """Go on from where the checkpoint is, to the end."""
        position = self.checkpoint.load(self.bare, self.loss_of, self.optimizer)
        epochs = range(len(position.history) + 1, self.recipe.epochs + 1)
        # While the network works on an epoch, the batches of the next one are drawn.
        with closing(map_ahead(self._draw, epochs, threads=1, ahead=1)) as drawn:
            for batches in drawn:
                self._epoch(batches, position, interruption)
        if reason := never_taught(position.history, self.recipe.loss.name):
            log.warning("warning: the training did not do what it is for: %s", reason)
        return position.history

    def _draw(self, epoch: int) -> list[NDArray[np.int64]]:
        return epoch_batches(self.labels, self.recipe.batch, self.seed, epoch)

    def _epoch(
        self, batches: list[NDArray[np.int64]], position: Position, interruption: Interruption
    ) -> None:
        """Go on to the end of the epoch that `position` is in, and keep the state there.

        Args:
            batches: of the whole epoch.
            position: how far the training has come.
            interruption: where a signal is noted.
        """
        epoch, epochs = len(position.history) + 1, self.recipe.epochs
        left = batches[position.step :]
        health = TrainingHealth(epoch, position.step, position.sums)
        started = time.monotonic() - position.seconds
        kept = time.monotonic()

        def keep() -> None:
            health.check()
            position.sums, position.seconds = health.sums, time.monotonic() - started
            if self.fabric.is_global_zero:
                self.checkpoint.save(self.bare, self.loss_of, self.optimizer, position)

        self.network.train()
        with (
            Progress(f"epoch {epoch}/{epochs}", len(left), "steps") as progress,
            closing(map_ahead(self._load, left, threads=1, ahead=1)) as loaded,
        ):
            for batch, waiting in zip(left, loaded, strict=True):
                set_learning_rates(
                    self.optimizer, self._share_of_rate(epoch, position.step, len(batches))
                )
                self._step(batch, waiting, hash_seed(self.seed, epoch, position.step), health)
                position.step += 1
                progress.update(1, health.progress_note())
                # All processes ask each other at the same steps.
                apart = self.fabric.world_size > 1 and position.step % AGREE_EVERY
                stop = 0 if apart else self._asked_to_stop(interruption)
                if stop or interruption.save or time.monotonic() - kept > SAVE_EVERY:
                    keep()
                    interruption.save, kept = False, time.monotonic()
                    log.info("the state after %s is kept", position)
                if stop:
                    raise Interrupted(stop)
        health.check()
        seconds = time.monotonic() - started
        try:
            if stop := self._asked_to_stop(interruption):
                raise Interrupted(stop)
            score = self._validate(epoch, interruption)
        except Interrupted:
            keep()
            log.info("the state after %s is kept", position)
            raise
        images = sum(len(batch) for batch in batches)
        done: Epoch = {
            "epoch": epoch,
            "steps": len(batches),
            "images": images,
            **health.means(),
            "lr": self.recipe.optimizer.lr
            * self._share_of_rate(epoch, len(batches) - 1, len(batches)),
            f"validation_mAP@{VALIDATION_K}": score,
            "images_per_second": images / seconds,
            "seconds": seconds,
        }
        log.info("%s", describe(done, epochs))
        if reason := taught_nothing(done, self.recipe.loss.name):
            log.warning("warning: epoch %d: %s", epoch, reason)
        position.history.append(done)
        position.step, position.seconds, position.sums = 0, 0.0, {}
        if self.fabric.is_global_zero:
            self.checkpoint.save(self.bare, self.loss_of, self.optimizer, position)

    def _load(self, batch: NDArray[np.int64]) -> Tensor:
        """This process's images of a batch, on the CPU."""
        return self.feed.load(self.chosen[batch[own_images(len(batch), self.fabric)]])

    def _step(
        self, batch: NDArray[np.int64], waiting: Tensor, seed: int, health: TrainingHealth
    ) -> None:
        """One step, with this process's images of the batch."""
        part = own_images(len(batch), self.fabric)
        inputs = self.feed.inputs(waiting, seed, part, len(batch))
        classes = torch.from_numpy(self.labels[batch]).to(self.fabric.device)

        # What a network or a loss draws at random.
        torch.manual_seed(seed)
        own = self.network(inputs)
        embeddings = gathered(own, len(batch), self.fabric)
        value = self.loss_of(embeddings, classes)
        self.optimizer.zero_grad()
        self.fabric.backward(value.loss)
        same_gradients(self.loss_of.parameters(), self.fabric)
        self.optimizer.step()
        health.record_step(value, embeddings.detach(), self.labels[batch])

    def _share_of_rate(self, epoch: int, step: int, steps: int) -> float:
        done = epoch - 1 + step / steps
        return share_of_rate(self.recipe.optimizer, self.recipe.epochs, done)

    def _asked_to_stop(self, interruption: Interruption) -> int:
        """The signal to stop for, 0 where there is none; all processes get the same answer."""
        stop = interruption.stop or 0
        if self.fabric.world_size == 1:
            return stop
        asked = torch.tensor(float(stop), device=self.fabric.device)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
        return int(asked)

    def _validate(self, epoch: int, interruption: Interruption) -> float | None:
        """The score of the held-out classes, where it is time for it; the first process's work.

        Raises:
            Interrupted: a signal asked the first process to end; the others wait for it, and so
                none of them may leave before it has kept the state.
        """
        score = None
        if len(self.held_out) and epoch % self.recipe.validation.every == 0:
            if self.fabric.is_global_zero:
                with interruption.at_once():
                    vectors = self.feed.embed(self.bare, self.held_out)
                    labels = self.data.labels[self.held_out]
                    score = leave_one_out_map(
                        vectors, labels, self.recipe.model.score, VALIDATION_K
                    )
            self.fabric.barrier()
        return score


def hash_seed(*parts: int) -> int:
    """A 63-bit seed for one place of a run: different places get unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def describe(epoch: Epoch, epochs: int) -> str:
    """One line about an epoch, for the log."""
    parts = [f"epoch {epoch['epoch']}/{epochs}", f"loss {epoch['loss']:.4f}"]
    if epoch["active_negatives"] is not None:
        parts.append(f"active negatives {epoch['active_negatives']:.1%}")
    parts.append(f"spread {epoch['spread']:.3f}")
    if epoch[f"validation_mAP@{VALIDATION_K}"] is not None:
        parts.append(f"validation mAP@10 {epoch['validation_mAP@10']:.3f}")
    parts.append(f"{epoch['images_per_second']:.0f} images/s")
    return ", ".join(parts)
