"""What a training's history tells, above all of a network that was taught nothing.

Imports no torch: the report tells it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.training.keeping import SCORE
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import NONE, OWN

SHARES = ("zero_loss", "without_positives", "without_negatives")
"""Columns of the history: the share of steps whose loss was exactly 0, whose batch held no two
images of one class, or none of two."""


def taught_nothing(
    epoch: Mapping[str, Any], loss: str, miner: str = OWN, memory: int = 0
) -> str | None:
    """Why an epoch taught the network nothing, or half of what it should, and what to do.

    Args:
        epoch: its row of the history: see `lookalike.training.health.TrainingHealth.means`.
        loss: the name of the recipe's loss.
        miner: that of its miner.
        memory: past images that each batch is compared with.

    Returns:
        None where in some step the loss was not 0, and in some step there were pairs of both kinds,
        where the loss is one of pairs.
    """
    idle = epoch["zero_loss"] == 1
    record = LOSSES[loss]
    remedy = record.remedy
    if miner not in (OWN, NONE):
        remedy = f"set miner: {{name: {NONE}}}, or {remedy}"
    # With a memory, a batch need not hold the pairs by itself.
    if not record.compares_images or memory:
        return _idle(remedy) if idle else None
    so = "so nothing was learned" if idle else "so the images were only {}"
    if epoch["without_positives"] == 1:
        return (
            f"no batch held two images of one class, {so.format('pushed apart')}; take batches "
            "with batch.name: balanced, or larger ones (batch.size)"
        )
    if epoch["without_negatives"] == 1:
        return (
            f"no batch held images of two classes, {so.format('pulled together')}; take batches "
            "with batch.name: balanced"
        )
    if not idle:
        return None
    if epoch["without_positives"]:
        remedy = f"take batches with batch.name: balanced, or {remedy}"
    lacking = epoch["without_positives"] + epoch["without_negatives"]
    share = f"{lacking:.0%}" if lacking >= 0.01 else "under 1%"
    pairs = f" ({share} of the batches had no pairs to compare)" if lacking else ""
    return _idle(remedy, pairs)


def _idle(remedy: str, pairs: str = "") -> str:
    return f"the loss was exactly 0 in every step{pairs}, so nothing was learned; {remedy}"


def never_taught(
    history: Sequence[Mapping[Any, Any]], loss: str, miner: str = OWN, memory: int = 0
) -> str | None:
    """Why a whole training taught the network nothing, or half of what it should.

    Args:
        history: a mapping per epoch.
        loss: the name of the recipe's loss.
        miner: that of its miner.
        memory: past images that each batch is compared with.

    Returns:
        What `taught_nothing` says of the last epoch, where it says something of every one; else
        None.
    """
    reasons = [taught_nothing(epoch, loss, miner, memory) for epoch in history]
    if not reasons or not all(reasons):
        return None
    epochs = f"every one of its {len(history)} epochs" if len(history) > 1 else "its only epoch"
    return f"in {epochs}, {reasons[-1]}"


def in_words(epoch: Mapping[str, Any], epochs: int) -> str:
    """One line about an epoch, for the log.

    Args:
        epoch: its row of the history.
        epochs: of the training.
    """
    parts = [f"epoch {epoch['epoch']}/{epochs}", f"loss {epoch['loss']:.4f}"]
    if epoch["active_negatives"] is not None:
        parts.append(f"active negatives {epoch['active_negatives']:.1%}")
    parts.append(f"spread {epoch['spread']:.3f}")
    if epoch[SCORE] is not None:
        parts.append(f"{SCORE.replace('_', ' ')} {epoch[SCORE]:.3f}")
    parts.append(f"{epoch['images_per_second']:.0f} images/s")
    return ", ".join(parts)
