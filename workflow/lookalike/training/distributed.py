"""One training by several processes, each with its own part of every batch.

The loss compares all images of a batch with each other, so each process embeds its part, and then
all have all embeddings. What they compute together is what one process would with the whole batch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.distributed
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.errors import LookalikeError

T = TypeVar("T")

# The first process validates and writes while the others wait for it.
PATIENCE = timedelta(hours=2)


def fabric_for(device: torch.device, precision: Any, processes: int = 1) -> Fabric:
    """Join the processes of this training, and choose this one's device.

    Args:
        device: its kind; with several processes on one machine, each has a GPU of its own.
        precision: Fabric's name for it.
        processes: how many there are. More than one must have been started by
            `lookalike.training.launch`: the environment tells this one its place.

    Raises:
        LookalikeError: other processes than these met.
    """
    if processes == 1:
        # Named, for Fabric would take a Slurm job for several processes.
        fabric = Fabric(
            accelerator=device.type,
            devices=1,
            precision=precision,
            plugins=[LightningEnvironment()],
        )
    else:
        environment: ClusterEnvironment = (
            TorchElasticEnvironment()
            if "RANK" in os.environ
            else SLURMEnvironment(auto_requeue=False)
        )
        fabric = Fabric(
            accelerator=device.type,
            devices=processes,
            strategy=DDPStrategy(timeout=PATIENCE),
            precision=precision,
            plugins=[environment],
        )
    fabric.launch()
    if fabric.world_size != processes:
        raise LookalikeError(
            f"{processes} processes were to share this training, but {fabric.world_size} met: the "
            "batch system did not start them together"
        )
    return fabric


def leave() -> None:
    """Leave the other processes, at the end of a training."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def first_alone(fabric: Fabric, make: Callable[[], T]) -> T:
    """Let the first process make something that is kept, and then the others, which find it."""
    if fabric.is_global_zero:
        made = make()
        fabric.barrier()
    else:
        fabric.barrier()
        made = make()
    return made


def own_images(n: int, fabric: Fabric) -> slice:
    """Which of a batch's `n` images are this process's: all belong to exactly one."""
    return _pieces(n, fabric.world_size)[fabric.global_rank]


def _pieces(n: int, processes: int) -> list[slice]:
    """A batch's `n` images in as many pieces, in order, their sizes one apart at most."""
    before = [share * n // processes for share in range(processes + 1)]
    return [slice(*ends) for ends in pairwise(before)]


class _Gather(torch.autograd.Function):
    """Each process's tensor, of one shape, in all processes."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        """From [...] to [processes, ...]."""
        parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """The sum of what all processes want changed in this one's tensor."""
        (everyone,) = gradients
        total = everyone.contiguous()
        torch.distributed.all_reduce(total)
        return total[torch.distributed.get_rank()]


def all_gather(own: Tensor) -> Tensor:
    """Tensors [...] of all processes as one [processes, ...], through which gradients flow back."""
    everyone: Tensor = _Gather.apply(own)
    return everyone


def gathered(embeddings: Tensor, n: int, fabric: Fabric) -> Tensor:
    """The embeddings of a whole batch, in its order.

    The gradient flows back to the process that an embedding came from. Each process computes the
    same loss, and the mean of their gradients is that of one process with the whole batch.

    Args:
        embeddings: float32 [own, d] of this process's `own_images` the batch.
        n: images in the batch.
        fabric: the processes.

    Returns:
        float32 [n, d].
    """
    if fabric.world_size == 1:
        return embeddings
    counts = [part.stop - part.start for part in _pieces(n, fabric.world_size)]
    # Processes exchange tensors of one size.
    filled = F.pad(embeddings, (0, 0, 0, max(counts) - len(embeddings)))
    parts = all_gather(filled)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def same_gradients(parameters: Iterable[nn.Parameter], fabric: Fabric) -> None:
    """Give all processes the first one's gradients of what is not in the network.

    A loss has the embeddings of all processes, so each has its whole gradient, but for rounding:
    where a GPU adds up in another order, parameters would drift apart.
    """
    if fabric.world_size == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.broadcast(parameter.grad, src=0)


def from_first(value: float | None, fabric: Fabric) -> float | None:
    """The first process's value, bit by bit, in all of them; others give None."""
    if fabric.world_size == 1:
        return value
    told = torch.tensor(math.nan if value is None else value, dtype=torch.float64)
    told = told.to(fabric.device)
    torch.distributed.broadcast(told, src=0)
    return None if told.isnan() else float(told)


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the images of all processes, on any device.

    The values are those of `torch.nn.BatchNorm1d` or `2d` over the whole batch; torch's own
    `SyncBatchNorm` does this on GPUs only. A process may have no image of a batch. What follows
    in the same layer (timm's has `drop` and `act` in it) is done as there.
    """

    def _check_input_dim(self, images: Tensor) -> None:
        """Any: [n, channels] or [n, channels, height, width]."""

    def forward(self, images: Tensor) -> Tensor:
        """Normalise: float [n, channels, ...], the same shape and dtype out."""
        normal = self._normalised(images) if self.training else super().forward(images)
        for name in _IN_ONE_LAYER:
            layer = self._modules.get(name)
            normal = normal if layer is None else layer(normal)
        return normal

    def _normalised(self, images: Tensor) -> Tensor:
        count, mean, variance = self._statistics(images.float())
        if self.running_mean is not None and self.running_var is not None:
            self._remember(count, mean.detach(), variance.detach())
        slope = torch.rsqrt(variance + self.eps)
        slope = slope if self.weight is None else self.weight * slope
        shift = -mean * slope if self.bias is None else self.bias - mean * slope
        shape = (-1, *[1] * (images.ndim - 2))
        return torch.addcmul(shift.view(shape), images.float(), slope.view(shape)).to(images.dtype)

    @torch.no_grad()
    def _remember(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards this batch's."""
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        # Without a momentum, torch keeps the mean of all batches.
        momentum = (
            1 / float(self.num_batches_tracked)  # type: ignore[arg-type]
            if self.momentum is None
            else self.momentum
        )
        self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_var.lerp_(unbiased, momentum)  # type: ignore[union-attr]

    def _statistics(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Number of values a channel (a scalar), mean and variance [channels], of all processes.

        Each process's mean and sum of squares about it are put together exactly (Chan, Golub and
        LeVeque 1979).
        """
        channels, others = images.shape[1], [0, *range(2, images.ndim)]
        n = images.numel() // channels
        mean = images.sum(dim=others) / max(n, 1)
        about = (images - mean.view(-1, *[1] * (images.ndim - 2))).square().sum(dim=others)
        own = torch.cat([mean.new_tensor([float(n)]), mean, about])
        everyone = all_gather(own)
        counts, means, abouts = torch.split(everyone, [1, channels, channels], dim=1)
        total = counts.sum()
        joint = (counts * means).sum(dim=0) / total
        about = (abouts + counts * (means - joint).square()).sum(dim=0)
        return total.detach(), joint, about / total


# Of a layer that normalises, drops and bends, in this order.
_IN_ONE_LAYER = ("drop", "act")


def with_global_batch_norm(model: nn.Module) -> nn.Module:
    """Let the batch normalisations of `model` (in place) see all processes; names stay.

    Raises:
        LookalikeError: one is of a kind that is not known here.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, GlobalBatchNorm) or not isinstance(
                child, nn.modules.batchnorm._BatchNorm
            ):
                continue
            plain = type(child) in (nn.BatchNorm1d, nn.BatchNorm2d)
            if not plain and not all(part in child._modules for part in _IN_ONE_LAYER):
                raise LookalikeError(
                    f"recipes.gpus: the network has a layer {type(child).__name__}, not known "
                    "to give on several GPUs what it gives on one; set gpus: 1 in the recipe"
                )
            other = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
            other.__dict__.update(child.__dict__)
            setattr(parent, name, other)
    return model
