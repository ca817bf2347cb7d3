"""Each loss, miner and memory trains: digits of images that it did not see are found better."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lookalike.embedding.forward import embed_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.models.building import build_model
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.feeds import TrainingData
from lookalike.training.loop import train
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINERS
from lookalike.training.recipe import Recipe
from lookalike.training.validation import leave_one_out_scores
from support.training import ALONE, recipe

IMAGE = ImageSettings(16, "squash", "white", (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), "fast")
UNCHANGED = {"flip": 0.0, "scale": 1.0, "aspect": 0.0}
UNCHANGED |= {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
N_TRAINED = 400


def digits() -> tuple[TrainingData, np.ndarray, np.ndarray]:
    """Images of all ten digits to train on, others of the same digits, and the latter's labels."""
    found = load_digits()
    grey = (255 - found.images * (255 / 16)).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    pixels = grey[..., None].repeat(3, axis=3)
    order = np.random.default_rng(0).permutation(len(pixels))
    trained, others = order[:N_TRAINED], order[N_TRAINED:1000]
    data = TrainingData(pixels[trained], found.target[trained], IMAGE)
    return data, pixels[others], found.target[others]


LONG = pytest.mark.long
REMEMBERED = {"memory": 200}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        *({"loss": {"name": name}} for name in LOSSES.names),
        {"loss": {"name": "contrastive", "power": 1, "mean": "nonzero"}},
        {"loss": {"name": "triplet"}, "miner": {"name": "distance_weighted"}, **REMEMBERED},
        *(
            pytest.param({"loss": {"name": "triplet"}, "miner": {"name": name}}, marks=LONG)
            for name in MINERS.names
        ),
        *(
            pytest.param({"loss": {"name": loss.name}, **REMEMBERED}, marks=LONG)
            for loss in LOSSES
            if loss.takes_memory
        ),
    ],
    ids=str,
)
def test_digits_are_found_better_than_by_the_untrained_network(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    data, pixels, labels = digits()
    settings = recipe(
        model={"embedding_dim": 32},
        batch={"classes": 10, "images_per_class": 4},
        epochs=3,
        validation={"classes": 0.0},
        augment=UNCHANGED,
        **changes,
    )
    made = Recipe.from_dict(settings)
    torch.manual_seed(0)
    model = build_model(made.model, IMAGE.size)

    def score() -> float:
        found = leave_one_out_scores(embed_pixels(model, pixels, IMAGE), labels, "cosine", 10).at_k
        assert found is not None
        return found

    untrained = score()
    train(model, data, made, 0, ALONE, Checkpoint(tmp_path, "run"))
    # Untrained 0.6 here; what is left out of 1 is at least halved.
    assert 1 - score() < (1 - untrained) / 2
