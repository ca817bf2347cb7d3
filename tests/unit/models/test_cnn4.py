import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.torch_devices import choose_device
from lookalike.models.building import build_model
from lookalike.models.cnn4 import ImageSimilarityModel
from lookalike.models.files import load_model, save_model
from lookalike.models.settings import ModelSettings
from support.models import IMAGE, MODEL


def fresh(**changes: object) -> ImageSimilarityModel:
    torch.manual_seed(0)
    settings: dict[str, Any] = MODEL | changes
    model = build_model(ModelSettings.from_dict(settings), IMAGE.size)
    assert isinstance(model, ImageSimilarityModel)
    return model


def pixels(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def test_the_seed_network_has_four_convolutions_and_one_linear_layer() -> None:
    model = ImageSimilarityModel(224, 128, batch_norm=False, normalize=False)
    convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128, 256]
    assert all(layer.kernel_size == (3, 3) for layer in convolutions)
    assert all(layer.bias is not None for layer in convolutions)
    # By hand: sum of (in * 9 + 1) * out, and 256 * 14 * 14 inputs to 128 outputs.
    by_hand = (27 + 1) * 32 + (288 + 1) * 64 + (576 + 1) * 128 + (1152 + 1) * 256
    by_hand += (256 * 14 * 14 + 1) * 128
    assert sum(parameter.numel() for parameter in model.parameters()) == by_hand
    assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 128)


def test_layers_in_the_seeds_order_give_the_same_embedding() -> None:
    model = fresh(batch_norm=False, normalize=False)
    x = torch.rand(4, 3, 32, 32)
    by_hand = x
    for layer in model.features:
        if isinstance(layer, torch.nn.Conv2d):
            by_hand = torch.relu(layer(by_hand))
            by_hand = torch.nn.functional.max_pool2d(by_hand, 2)
    assert torch.equal(model(x), model.fc(by_hand.flatten(1)))


def test_normalised_embeddings_have_length_one() -> None:
    lengths = np.linalg.norm(embed_pixels(fresh(), pixels(5), IMAGE), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_a_model_is_rebuilt_from_its_folder_alone(tmp_path: Path) -> None:
    model = fresh()
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    image = IMAGE.to_dict()
    digest = save_model(model, weights, description, settings=MODEL, image=image, facts={"a": 1})
    again, facts = load_model(weights)
    assert facts["digest"] == digest
    assert facts["a"] == 1
    assert ImageSettings.from_dict(facts["image"]) == IMAGE
    assert np.array_equal(
        embed_pixels(again, pixels(3), IMAGE), embed_pixels(model, pixels(3), IMAGE)
    )
    # Equal content, equal bytes; another use of the same weights is another model.
    other = tmp_path / "other"
    assert digest == save_model(
        model, other / "w", other / "j", settings=MODEL, image=image, facts={}
    )
    assert (other / "w").read_bytes() == weights.read_bytes()
    unnormalised = MODEL | {"normalize": False}
    assert digest != save_model(
        model, other / "w", other / "j", settings=unnormalised, image=image, facts={}
    )


def test_weights_that_do_not_match_their_description_are_refused(tmp_path: Path) -> None:
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_model(fresh(), weights, description, settings=MODEL, image=IMAGE.to_dict(), facts={})
    changed = json.loads(description.read_text())
    changed["model"]["normalize"] = False
    description.write_text(json.dumps(changed))
    with pytest.raises(LookalikeError, match=r"model\.safetensors.*digest"):
        load_model(weights)


def test_a_device_that_is_missing_is_named() -> None:
    assert choose_device("cpu").type == "cpu"
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(LookalikeError, match=f"device: {missing}"):
        choose_device(missing)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    position=st.integers(0, 99),
    count=st.integers(1, 100),
    batch_size=st.sampled_from([1, 5, 32, 64, 100, 128]),
    company=st.integers(0, 9),
    threads=st.sampled_from([1, 2]),
    batch_norm=st.booleans(),
)
def test_an_embedding_does_not_depend_on_its_batch(
    position: int, count: int, batch_size: int, company: int, threads: int, batch_norm: bool
) -> None:
    model = fresh(batch_norm=batch_norm)
    one = pixels(1, seed=1234)
    alone = embed_pixels(model, one, IMAGE, 32)
    images = pixels(count, seed=company)
    images[position % count] = one[0]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        among = embed_pixels(model, images, IMAGE, batch_size)
    finally:
        torch.set_num_threads(before)
    assert among.shape == (count, 16)
    assert among[position % count].tobytes() == alone[0].tobytes()


def test_embedding_leaves_the_model_as_it_was() -> None:
    model = fresh().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    embed_pixels(model, pixels(3), IMAGE)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
