"""What every network of the table keeps."""

import numpy as np
import pytest
import torch
from torch import nn

from lookalike.embedding.forward import embed_pixels
from lookalike.models.building import build_model
from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS
from support.models import IMAGE

DIMENSION = 16


def network(name: str, **changes: object) -> nn.Module:
    torch.manual_seed(0)
    settings = {setting.name: setting.default for setting in MODELS[name].settings}
    if MODELS[name].is_backbone:
        settings["weights"] = "none"
    wanted = settings | {"name": name, "embedding_dim": DIMENSION} | changes
    return build_model(ModelSettings.from_dict(wanted), IMAGE.size).eval()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, IMAGE.size, IMAGE.size, 3), np.uint8)


@pytest.mark.parametrize("name", MODELS.names)
def test_an_embedding_has_the_length_and_size_that_are_set(name: str, pixels: np.ndarray) -> None:
    of_length_1 = embed_pixels(network(name, normalize=True), pixels, IMAGE)
    assert of_length_1.shape == (len(pixels), DIMENSION)
    assert of_length_1.dtype == np.float32
    assert np.linalg.norm(of_length_1, axis=1) == pytest.approx(1, abs=1e-6)
    free = np.linalg.norm(embed_pixels(network(name, normalize=False), pixels, IMAGE), axis=1)
    assert free.std() > 0


@pytest.mark.parametrize("name", MODELS.names)
@pytest.mark.parametrize("threads", [1, 2])
def test_an_embedding_does_not_depend_on_its_batch_or_on_threads(
    name: str, threads: int, pixels: np.ndarray
) -> None:
    model = network(name)
    expected = embed_pixels(model, pixels, IMAGE)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        alone = [embed_pixels(model, pixels[row : row + 1], IMAGE) for row in (0, 33, 69)]
        backwards = embed_pixels(model, pixels[::-1], IMAGE)[::-1]
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(np.concatenate(alone), expected[[0, 33, 69]])
    assert np.array_equal(backwards, expected)


@pytest.mark.parametrize("name", MODELS.names)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    one, other = network(name).state_dict(), network(name).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
