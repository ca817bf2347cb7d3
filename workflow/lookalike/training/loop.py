"""The training loop."""

from __future__ import annotations

import copy
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
from lookalike.training.averaging import Average
from lookalike.training.checkpoints import Checkpoint, Position
from lookalike.training.course import Course
from lookalike.training.distributed import (
    from_first,
    gathered,
    own_images,
    same_gradients,
    with_global_batch_norm,
)
from lookalike.training.feeds import TrainingSet
from lookalike.training.health import TrainingHealth
from lookalike.training.held_out import divided
from lookalike.training.keeping import SCORE, SCORE_AT_R, VALIDATION_K, best_epoch, is_over
from lookalike.training.layer_rates import freeze
from lookalike.training.lessons import in_words, never_taught, taught_nothing
from lookalike.training.losses.building import build_loss, own_lr
from lookalike.training.optimization import (
    build_optimizer,
    set_learning_rates,
    share_of_rate,
    without_frozen,
)
from lookalike.training.pace import Pace, training_in_words
from lookalike.training.plan import log_plan
from lookalike.training.recipe import Recipe
from lookalike.training.samplers.table import SAMPLERS
from lookalike.training.sampling import epoch_batches
from lookalike.training.seeding import hash_seed, seed_draws
from lookalike.training.validation import HeldOutScores, leave_one_out_scores

log = logging.getLogger(__name__)

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

    All chance (batches, augmentation) is a function of seed, epoch and step, so a run that goes on
    from its checkpoint ends as one that was never stopped; several processes share the work of each
    batch and come to what one would, but for rounding. What is held out follows from the data and
    `validation.seed` alone.

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
        One mapping per epoch: the columns of history.parquet. One epoch is `kept`: the network has
        its weights, or where the recipe asks for it, their running mean there.

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
        self.course, validation = Course.of(recipe), recipe.validation
        split, why = divided(data, recipe)
        self.chosen, self.split = split.training, split
        self.labels = np.unique(data.labels[self.chosen], return_inverse=True)[1]
        batch_size = SAMPLERS[recipe.batch.name].batch_size(recipe.batch.values)
        self.every = self.course.validated(validation.every, len(split.gallery), batch_size)
        self.why_held_out = why
        self.pace = Pace(
            self.course,
            batch_size,
            len(split.gallery),
            self.every,
            training_in_words(self.course, len(self.chosen), data.form, fabric.device),
            may_end=bool(validation.patience),
        )

        self.bare = model.to(memory_format=torch.channels_last)
        if fabric.world_size > 1:
            with_global_batch_norm(self.bare)
        self.left_as_they_came = freeze(self.bare, recipe.train)
        n_classes, dimension = int(self.labels.max()) + 1, recipe.model.embedding_dim
        loss = build_loss(
            recipe.loss,
            n_classes,
            dimension,
            hash_seed(seed),
            miner=recipe.miner,
            memory=recipe.memory,
        )
        self.loss_of = loss.to(fabric.device)
        optimizer = build_optimizer(self.bare, recipe.optimizer, loss, own_lr(recipe.loss))
        self.network, self.optimizer = fabric.setup(self.bare, optimizer)
        self.feed = data.feed(recipe.augment, fabric.device)

        self.modules: dict[str, nn.Module] = {"model": self.bare, "loss": self.loss_of}
        # Whose weights are scored, and kept in the end.
        self.scored, self.average = self.bare, None
        if recipe.optimizer.average:
            self.average = Average(self.bare, recipe.optimizer.average)
            self.scored = self.modules["average"] = self.average.network
        if validation.keeps_best and len(split.queries):
            self.modules["best"] = copy.deepcopy(self.bare).requires_grad_(False)

    @property
    def _of_loss(self) -> tuple[str, str, int]:
        """What lessons are told of the loss: its name, the miner's, the size of the memory."""
        return self.recipe.loss.name, self.recipe.miner.name, self.recipe.memory

    def run(self, interruption: Interruption) -> list[Epoch]:
        """Go on from where the checkpoint is, to the end."""
        log_plan(
            self.data.labels, self.split, self.why_held_out, self.recipe, self.course, self.every
        )
        position = self.checkpoint.load(self.modules, self.optimizer)
        epochs = range(len(position.history) + 1, self.course.epochs + 1)
        draw = self.course.drawer(self._draw, epochs.start)
        # While the network works on an epoch, the batches of the next one are drawn.
        with closing(map_ahead(draw, epochs, threads=1, ahead=1)) as drawn:
            for batches in drawn:
                if is_over(position.history, self.recipe.validation.patience):
                    break
                self._epoch(batches, position, interruption)
        self._take_what_is_kept(position.history)
        if reason := never_taught(position.history, *self._of_loss):
            log.warning("warning: the training did not do what it is for: %s", reason)
        return position.history

    def _draw(self, epoch: int) -> list[NDArray[np.int64]]:
        return epoch_batches(self.labels, self.recipe.batch, self.seed, epoch)

    def _take_what_is_kept(self, history: list[Epoch]) -> None:
        """Give the network the weights that the training ends with, and mark their epoch."""
        kept, best = len(history), None
        if "best" in self.modules:
            best = best_epoch(history)
        if len(history) < self.course.epochs:
            log.info("stopped after epoch %d: the scores rise no more", len(history))
        if best is not None:
            kept = best
            log.info("kept: epoch %d of %d, which scored best", kept, len(history))
        kept_weights = self.scored if best is None else self.modules["best"]
        if kept_weights is not self.bare:
            self.bare.load_state_dict(kept_weights.state_dict())
        for row in history:
            row["kept"] = row["epoch"] == kept

    def _epoch(
        self, batches: list[NDArray[np.int64]], position: Position, interruption: Interruption
    ) -> None:
        """Go on to the end of the epoch that `position` is in, and keep the state there.

        Args:
            batches: of the whole epoch.
            position: how far the training has come.
            interruption: where a signal is noted.
        """
        epoch, epochs = len(position.history) + 1, self.course.epochs
        left = batches[position.step :]
        health = TrainingHealth(epoch, position.step, position.sums)
        started = time.monotonic() - position.seconds
        kept = time.monotonic()

        def keep() -> None:
            health.check()
            position.sums, position.seconds = health.sums, time.monotonic() - started
            self._save(position)

        self.network.train()
        for module in self.left_as_they_came:
            module.eval()
        with (
            Progress(f"epoch {epoch}/{epochs}", len(left), "steps") as progress,
            closing(map_ahead(self._load, left, threads=1, ahead=1)) as loaded,
        ):
            for batch, waiting in zip(left, loaded, strict=True):
                share = self._share_of_rate(epoch, position.step, len(batches))
                epochs_done = epoch - 1 + position.step / len(batches)
                set_learning_rates(self.optimizer, share, epochs_done)
                self._step(batch, waiting, hash_seed(self.seed, epoch, position.step), health)
                if self.average is not None:
                    self.average.update(self.bare, position.steps_done)
                position.step += 1
                place = epoch, position.step, len(batches)
                progress.update(1, self.pace.stepped(health.progress_note(), *place))
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
            scores = self._validate(epoch, interruption)
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
            SCORE: scores.at_k,
            SCORE_AT_R: scores.at_r,
            "images_per_second": images / seconds,
            "seconds": seconds,
        }
        to_come = self.pace.left(epoch + 1, 0, len(batches)) if epoch < epochs else ""
        log.info("%s", ", ".join(filter(None, [in_words(done, epochs), to_come])))
        if reason := taught_nothing(done, *self._of_loss):
            log.warning("warning: epoch %d: %s", epoch, reason)
        position.history.append(done)
        position.step, position.seconds, position.sums = 0, 0.0, {}
        if "best" in self.modules and best_epoch(position.history) == epoch:
            self.modules["best"].load_state_dict(self.scored.state_dict())
        self._save(position)

    def _save(self, position: Position) -> None:
        if self.fabric.is_global_zero:
            self.checkpoint.save(self.modules, self.optimizer, position)

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

        # What a network draws at random.
        seed_draws(seed, self.fabric.device)
        own = self.network(inputs)
        embeddings = gathered(own, len(batch), self.fabric)
        # What a miner or a loss draws: the same in all processes, whatever each one's network drew.
        seed_draws(hash_seed(seed, 1), self.fabric.device)
        value = self.loss_of(embeddings, classes)
        self.optimizer.zero_grad()
        self.fabric.backward(value.loss)
        same_gradients(self.loss_of.parameters(), self.fabric)
        without_frozen(self.optimizer)
        if longest := self.recipe.optimizer.clip:
            # Of the whole batch: the processes have the same by now.
            nn.utils.clip_grad_norm_(self.bare.parameters(), longest)
        self.optimizer.step()
        health.record_step(value, embeddings.detach(), self.labels[batch])

    def _share_of_rate(self, epoch: int, step: int, steps: int) -> float:
        done = self.course.done(epoch, step, steps)
        return share_of_rate(self.recipe.optimizer, self.course.epochs, done)

    def _asked_to_stop(self, interruption: Interruption) -> int:
        """The signal to stop for, 0 where there is none; all processes get the same answer."""
        stop = interruption.stop or 0
        if self.fabric.world_size == 1:
            return stop
        asked = torch.tensor(float(stop), device=self.fabric.device)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
        return int(asked)

    def _validate(self, epoch: int, interruption: Interruption) -> HeldOutScores:
        """The scores of the held-out images, where it is time for them; the first process's work.

        Raises:
            Interrupted: a signal asked the first process to end; the others wait for it, and so
                none of them may leave before it has kept the state.
        """
        # The last epoch has a say in which is the best.
        is_last = "best" in self.modules and epoch == self.course.epochs
        if not len(self.split.queries) or (epoch % self.every and not is_last):
            return HeldOutScores(None, None)
        scores = HeldOutScores(None, None)
        if self.fabric.is_global_zero:
            with interruption.at_once():
                gallery, n_queries = self.split.gallery, len(self.split.queries)
                vectors, labels = self.feed.embed(self.scored, gallery), self.data.labels[gallery]
                scores = leave_one_out_scores(
                    vectors, labels, self.recipe.model.score, VALIDATION_K, n_queries
                )
        self.pace.validated()
        return HeldOutScores(*(from_first(score, self.fabric) for score in scores))
