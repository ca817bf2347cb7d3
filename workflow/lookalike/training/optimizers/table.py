"""The optimizers by name. Imports none of them; see `lookalike.records`.

A builder is given groups of parameters as torch's optimizers take them, each with its `lr`, and the
record's settings by keyword, without those of `lookalike.training.optimization`.
"""

from __future__ import annotations

from lookalike.records import Setting, Table, Variant
from lookalike.training.schedules.table import SCHEDULES

_LARGEST = 1_000_000
OF_BACKBONE = {"backbone_lr": 1.0, "layer_decay": 1.0, "thaw_epochs": 0.0}
"""Settings that speak of a backbone's layers, and the values with which all parts are alike."""
ALIKE = ("lr", "warmup_epochs", "schedule", "decay_norms", "clip", "average", *OF_BACKBONE)
"""Settings that mean the same for each optimizer: what is done around its steps, and how the
learning rate runs. Its builder does not get them."""


def _settings(lr: float, weight_decay: float, *more: Setting) -> tuple[Setting, ...]:
    """The settings that every optimizer has, with these defaults, and `more`."""
    return (
        Setting("lr", float, lr, "highest learning rate", above=0, maximum=_LARGEST),
        *more,
        Setting(
            "weight_decay",
            float,
            weight_decay,
            "pull of the weights towards 0",
            minimum=0,
            maximum=_LARGEST,
        ),
        Setting(
            "warmup_epochs",
            float,
            1,
            "epochs in which the learning rate rises from 0",
            minimum=0,
            maximum=_LARGEST,
        ),
        Setting(
            "schedule",
            str,
            "cosine",
            "the learning rate after that; cosine falls to 0 in the last step",
            choices=SCHEDULES.names,
        ),
        Setting(
            "decay_norms",
            bool,
            True,
            "whether weight decay also pulls the network's parameters of one dimension: biases, "
            "scales and shifts of normalisations",
        ),
        Setting(
            "clip",
            float,
            0.0,
            "longest gradient of the network's parameters, all taken as one vector; 0: any",
            minimum=0,
            maximum=_LARGEST,
        ),
        Setting(
            "average",
            float,
            0.0,
            "share of the running mean of the weights that stays in a step; the mean is what is "
            "scored and kept; 0: the weights themselves",
            minimum=0,
            below=1,
        ),
        Setting(
            "backbone_lr",
            float,
            OF_BACKBONE["backbone_lr"],
            "share of the learning rate that a backbone's last layer has; the head has all of it",
            above=0,
            maximum=1,
        ),
        Setting(
            "layer_decay",
            float,
            OF_BACKBONE["layer_decay"],
            "share of the next layer's learning rate that each layer of a backbone has",
            above=0,
            maximum=1,
        ),
        Setting(
            "thaw_epochs",
            float,
            OF_BACKBONE["thaw_epochs"],
            "epochs until a backbone's first layer is trained; the others thaw before, the last "
            "one first; 0: all at once",
            minimum=0,
            maximum=_LARGEST,
        ),
    )


OPTIMIZERS: Table[Variant] = Table(
    "optimizer.name",
    "optimizer",
    Variant(
        "adam",
        "lookalike.training.optimizers.adam:build",
        "steps by running means of the gradient and of its square",
        "Kingma and Ba 2015",
        _settings(0.001, 0.0),
    ),
    Variant(
        "adamw",
        "lookalike.training.optimizers.adamw:build",
        "Adam, with the weights' decay apart from the gradient",
        "Loshchilov and Hutter 2019",
        _settings(0.0005, 0.01),
    ),
    Variant(
        "sgd",
        "lookalike.training.optimizers.sgd:build",
        "gradient descent with momentum",
        "Robbins and Monro 1951; Polyak 1964",
        _settings(
            0.05,
            0.0001,
            Setting("momentum", float, 0.9, "share of the last step kept", minimum=0, below=1),
        ),
    ),
)
