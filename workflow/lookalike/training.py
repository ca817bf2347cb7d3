"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.augmentation import augment, build_augmentation
from lookalike.checkpoints import Checkpoint
from lookalike.embedding import embed_pixels, for_device
from lookalike.errors import LookalikeError
from lookalike.images import ImageSettings
from lookalike.lookahead import map_ahead
from lookalike.losses import LossValue, build_loss
from lookalike.models import score_of
from lookalike.normalisation import scale, standardise
from lookalike.progress import Progress
from lookalike.rows import RowSource, Selected
from lookalike.sampling import epoch_batches, hold_out_classes
from lookalike.validation import leave_one_out_map

log = logging.getLogger(__name__)

# The spread of a batch's embeddings (see `relative_spread`) below which all images look the same.
COLLAPSED = 1e-4
# Steps between two looks at the loss: each look makes a GPU wait.
LOOK_EVERY = 50
VALIDATION_K = 10

Epoch = dict[str, float | int | None]


@dataclass(frozen=True)
class TrainingData:
    """Images to train on.

    Attributes:
        pixels: uint8 [n, size, size, 3]; read a batch at a time.
        labels: int64 [n], the class of each image.
        image: how pixels become the network's input.
    """

    pixels: RowSource
    labels: NDArray[np.int64]
    image: ImageSettings


def train(
    model: nn.Module,
    data: TrainingData,
    recipe: Mapping[str, Any],
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
) -> list[Epoch]:
    """Train `model` in place, by a recipe.

    All chance (batches, augmentation, held-out classes) is a function of seed, epoch and step, so
    a run that goes on from its checkpoint ends as one that was never stopped.

    While the network works on a batch, the next one is read. So two batches are in memory, however
    many images there are; a validation holds the embeddings of the held-out images beside.

    Args:
        model: the network, on the CPU, as it is before the first step.
        data: the training images.
        recipe: a complete recipe from the settings.
        seed: of the run.
        device: to train on.
        checkpoint: where the state after each epoch is kept until the run is done.

    Returns:
        One mapping per epoch: the columns of history.parquet.

    Raises:
        LookalikeError: the loss is not finite, the embeddings collapsed to a point, or an image
            cannot be read.
    """
    chosen, held_out = hold_out_classes(data.labels, recipe["validation"]["classes"], seed)
    labels = np.unique(data.labels[chosen], return_inverse=True)[1]
    log_plan(len(chosen), len(held_out), data.labels, recipe)

    fabric = Fabric(accelerator=device.type, devices=1, precision=fabric_precision(recipe, device))
    bare = model.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(bare, recipe["optimizer"])
    network, optimizer = fabric.setup(bare, optimizer)
    loss_of = build_loss(recipe["loss"])
    transform = build_augmentation(recipe["augment"], data.image.size)

    kind = score_of(recipe["model"])
    validation = Selected(data.pixels, held_out)

    def load(batch: NDArray[np.int64]) -> Tensor:
        return for_device(data.pixels[chosen[batch]], fabric.device)

    history = checkpoint.load(bare, optimizer)
    for epoch in range(len(history) + 1, recipe["epochs"] + 1):
        started = time.monotonic()
        batches = epoch_batches(labels, recipe["batch"], seed, epoch)
        watch = Watch(epoch, len(batches))
        network.train()
        with (
            Progress(f"epoch {epoch}/{recipe['epochs']}", len(batches), "steps") as progress,
            closing(map_ahead(load, batches, threads=1, ahead=1)) as loaded,
        ):
            for step, (batch, waiting) in enumerate(zip(batches, loaded, strict=True)):
                lr = learning_rate(recipe, epoch - 1 + step / len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = lr
                pixels = waiting.to(fabric.device, non_blocking=waiting.is_pinned())
                images = augment(scale(pixels), transform, hash_seed(seed, epoch, step))
                classes = torch.from_numpy(labels[batch]).to(fabric.device)

                embeddings = network(standardise(images, data.image))
                value = loss_of(embeddings, classes)
                optimizer.zero_grad()
                fabric.backward(value.loss)
                optimizer.step()

                watch.see(value, embeddings.detach())
                progress.update(1, watch.note())
        seconds = time.monotonic() - started
        images_seen = sum(len(batch) for batch in batches)
        score = None
        if len(held_out) and epoch % recipe["validation"]["every"] == 0:
            vectors = embed_pixels(bare, validation, data.image)
            score = leave_one_out_map(vectors, data.labels[held_out], kind, VALIDATION_K)
        history.append(
            {
                "epoch": epoch,
                "steps": len(batches),
                "images": images_seen,
                **watch.means(),
                "lr": lr,
                f"validation_mAP@{VALIDATION_K}": score,
                "images_per_second": images_seen / seconds,
                "seconds": seconds,
            }
        )
        log.info("%s", describe(history[-1], recipe["epochs"]))
        checkpoint.save(bare, optimizer, history)
    model.cpu()
    return history


class Watch:
    """Keeps an eye on one epoch: its means, and the two ways in which training goes wrong."""

    def __init__(self, epoch: int, steps: int) -> None:
        self.epoch, self.steps = epoch, steps
        self._seen = 0
        self._since: dict[str, list[Tensor]] = {}
        self._sums: dict[str, float] = {}
        self._last_loss: float | None = None

    def see(self, value: LossValue, embeddings: Tensor) -> None:
        """Take note of a step; every so many steps, look whether all is well."""
        self._seen += 1
        noted = {"loss": value.loss.detach(), "spread": relative_spread(embeddings)}
        if value.active_negatives is not None:
            noted["active_negatives"] = value.active_negatives.detach()
        for name, number in noted.items():
            self._since.setdefault(name, []).append(number)
        if len(self._since["loss"]) == LOOK_EVERY or self._seen == self.steps:
            self._look()

    def _look(self) -> None:
        since = {name: torch.stack(some).cpu() for name, some in self._since.items()}
        losses = since["loss"]
        if not bool(torch.isfinite(losses).all()):
            at = int((~torch.isfinite(losses)).nonzero()[0])
            raise LookalikeError(
                f"training stopped: the loss is {float(losses[at])} at epoch {self.epoch}, "
                f"step {self._seen - len(losses) + at + 1}; a lower optimizer.lr or precision "
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
        for name, some in since.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(some.double().sum())
        self._since = {}
        self._last_loss = float(losses[-1])

    def note(self) -> str:
        """The last loss looked at, for the progress bar."""
        return "" if self._last_loss is None else f"loss {self._last_loss:.4f}"

    def means(self) -> Epoch:
        """Means over the steps: loss, share of active negatives (or None), spread."""
        means = {name: total / self._seen for name, total in self._sums.items()}
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


def build_optimizer(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Make the optimizer that a recipe's `optimizer` settings name."""
    lr, weight_decay = settings["lr"], settings["weight_decay"]
    match settings["name"]:
        case "adam":
            return torch.optim.Adam(model.parameters(), lr, weight_decay=weight_decay)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay)
        case "sgd":
            return torch.optim.SGD(
                model.parameters(), lr, momentum=settings["momentum"], weight_decay=weight_decay
            )
        case name:
            raise LookalikeError(f"optimizer.name: there is no optimizer {name!r}")


def learning_rate(recipe: Mapping[str, Any], epochs_done: float) -> float:
    """Learning rate after `epochs_done` epochs (a step is a fraction of one).

    It rises linearly over `warmup_epochs`, then stays, or falls along half a cosine to 0 at the
    end (Loshchilov and Hutter 2017, without restarts).
    """
    settings = recipe["optimizer"]
    warmup = min(settings["warmup_epochs"], recipe["epochs"])
    if epochs_done < warmup:
        # Not 0 in the first step, which would be a step for nothing.
        return float(settings["lr"] * max(epochs_done, 0.01) / warmup)
    if settings["schedule"] == "constant" or warmup >= recipe["epochs"]:
        return float(settings["lr"])
    part = (epochs_done - warmup) / (recipe["epochs"] - warmup)
    return float(settings["lr"] * (1 + math.cos(math.pi * part)) / 2)


def fabric_precision(recipe: Mapping[str, Any], device: torch.device) -> Any:
    """Fabric's name for the recipe's precision; `auto` is bfloat16 where the device is fast at it.

    A CPU trains in float32. One with AMX takes half the time in bfloat16, as repeatably, but the
    held-out classes scored lower where it was tried; one without measured 5 to 20 times slower.
    """
    wanted = recipe["precision"]
    if wanted == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        wanted = "bfloat16" if fast else "float32"
    return {"bfloat16": "bf16-mixed", "float32": "32-true"}[wanted]


def hash_seed(*parts: int) -> int:
    """A 63-bit seed for one place of a run: different places get unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def log_plan(
    n_images: int, n_held_out: int, labels: NDArray[np.int64], recipe: Mapping[str, Any]
) -> None:
    """Say what will be trained on what."""
    log.info(
        "training on %d images%s, %d epochs",
        n_images,
        f", {n_held_out} images of held-out classes to validate on" if n_held_out else "",
        recipe["epochs"],
    )
    if recipe["validation"]["classes"] and not n_held_out:
        log.info("no validation: %d classes are too few to hold some out", len(np.unique(labels)))


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
