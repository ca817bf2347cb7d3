from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.embedding.forward import embed_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.models import efficientnet_lite
from lookalike.models.building import before_training, build_model
from lookalike.models.files import load_model, save_model
from lookalike.models.settings import ModelSettings
from support.backbones import settings_of_backbone
from support.models import IMAGE, MODEL

SMALL: dict[str, dict[str, Any]] = {
    "timm": {"backbone": "test_resnet", "weights": "none"},
    "torchvision": {"backbone": "mobilenet_v3_small", "weights": "none", "head": "mlp"},
    "efficientnet_lite": {"weights": "pretrained", "pooling": "gem"},
}


def absent(backbone: str) -> Path:
    raise AssertionError(f"the weights of {backbone} are asked for")


@pytest.mark.parametrize("name", SMALL)
def test_a_model_is_rebuilt_without_the_weights_that_it_began_with(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of_backbone(name, embedding_dim=8, **SMALL[name])
    model = build_model(ModelSettings.from_dict(settings), IMAGE.size)
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    image = IMAGE.to_dict()
    digest = save_model(model, weights, description, settings=settings, image=image, facts={})
    monkeypatch.setattr(efficientnet_lite, "packaged_weights", absent)
    again, facts = load_model(weights)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    kept = ImageSettings.from_dict(facts["image"])
    assert np.array_equal(embed_pixels(again, pixels, kept), embed_pixels(model, pixels, kept))
    # Where the weights once came from is no matter of what they are.
    elsewhere = settings | {"weights": "/elsewhere/weights.pt"}
    other = tmp_path / "other"
    assert digest == save_model(
        model, other / "w", other / "j", settings=elsewhere, image=image, facts={}
    )
    changed = settings | {"pooling": "cls"}
    assert digest != save_model(
        model, other / "w", other / "j", settings=changed, image=image, facts={}
    )


def test_what_a_network_is_before_training() -> None:
    settings: dict[str, Any] = dict(MODEL)
    plain = build_model(ModelSettings.from_dict(settings), IMAGE.size)
    assert before_training(plain, settings, trains_head=True) == (plain, settings)
    random = settings_of_backbone("timm", backbone="test_resnet")
    model = build_model(ModelSettings.from_dict(random), IMAGE.size)
    assert before_training(model, random, trains_head=True) == (model, random)
    # Where nothing is trained it is what it is afterwards.
    bare, said = before_training(model, random, trains_head=False)
    assert said == random | {"head": "none", "embedding_dim": bare.embedding_dim}
    assert not [key for key in bare.state_dict() if key.startswith("head.")]
    learned = settings_of_backbone("efficientnet_lite", weights="pretrained", embedding_dim=8)
    model = build_model(ModelSettings.from_dict(learned), IMAGE.size)
    bare, said = before_training(model, learned, trains_head=True)
    assert said == learned | {"head": "none", "embedding_dim": 1280}
    assert set(bare.state_dict()) == {
        key for key in model.state_dict() if key.startswith("backbone.")
    }
