"""A network embeds as ONNX as it does in the workflow, images of every kind too."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.exporting import network_graph as subject
from lookalike.exporting.checking import LEAST_COSINE, MOST_DIFFERENT, cosine_of
from lookalike.exporting.network_graph import EMBEDDINGS, OPSET, PIXELS, network_graph
from lookalike.exporting.onnx_models import OnnxEmbedder, image_model, pixel_model
from lookalike.images.decoding import read_image
from lookalike.images.resizing import RESIZES, ImageSettings, load_pixels
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.building import build_model
from lookalike.models.settings import ModelSettings
from support import image_matrix
from support.backbones import backbone, settings_of_backbone, with_statistics
from support.models import IMAGE, MODEL
from support.photographs import photographs
from support.pictures import noise

CNN4 = [
    MODEL | {"batch_norm": batch_norm, "normalize": normalize}
    for batch_norm in (True, False)
    for normalize in (True, False)
]
LITE = settings_of_backbone("efficientnet_lite", embedding_dim=16)
NETWORKS = [
    *CNN4,
    LITE | {"head": "bn_linear", "normalize": True},
    LITE | {"head": "none", "normalize": False, "pooling": "gem"},
]


def made(settings: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(build_model(ModelSettings.from_dict(settings), IMAGE.size)).eval()


@cache
def exported(number: int) -> tuple[nn.Module, onnx.GraphProto]:
    """A network as it is, and the graph of what it embeds with."""
    network = made(NETWORKS[number])
    fused = network
    if isinstance(network, EmbeddingNetwork):
        fused = network.for_embedding(IMAGE.size)
    return network, network_graph(fused, IMAGE)


def pixels_of(n: int) -> np.ndarray:
    return np.stack([noise(IMAGE.size, IMAGE.size, seed=seed) for seed in range(n)])


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_embeddings_are_those_of_the_workflow_whatever_the_batch(number: int) -> None:
    network, graph = exported(number)
    model = pixel_model(graph, IMAGE, {})
    onnx.checker.check_model(model, full_check=True)
    embedder = OnnxEmbedder(model)
    pixels = pixels_of(40)
    expected = embed_pixels(network, pixels, IMAGE)
    for n in (1, 2, 7, 40):
        found = embedder.embed(pixels[:n])
        assert found.dtype == np.float32
        assert np.abs(found - expected[:n]).max() <= 1e-4
    if NETWORKS[number]["normalize"]:
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-2, "the embeddings of these images differ"


def test_another_reader_of_the_format_comes_to_the_same() -> None:
    network, graph = exported(0)
    reader = ReferenceEvaluator(pixel_model(graph, IMAGE, {}))
    pixels = pixels_of(2)
    (found,) = map(np.asarray, reader.run(None, {"images": pixels}))
    assert np.abs(found - embed_pixels(network, pixels, IMAGE)).max() <= 1e-4


def test_the_graph_says_nothing_of_the_code_that_it_came_from() -> None:
    _, graph = exported(4)
    assert [value.name for value in (*graph.input, *graph.output)] == [PIXELS, EMBEDDINGS]
    content = graph.SerializeToString()
    for word in (b"stack_trace", b"torch", b".py", str(Path(__file__).parents[3]).encode()):
        assert word not in content


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("convnext_atto", 64),
        pytest.param("vit_tiny_patch16_224", 224, marks=pytest.mark.long),
        pytest.param("swin_tiny_patch4_window7_224", 224, marks=pytest.mark.long),
        pytest.param("mobilevit_xxs", 64, marks=pytest.mark.long),
    ],
)
def test_networks_of_timm_embed_as_they_are(name: str, size: int) -> None:
    """Convolutions with norms of layers, attention, windows that are shifted, and both kinds."""
    image = replace(IMAGE, size=size)
    network = backbone("timm", size, backbone=name)
    with_statistics(network)
    graph = network_graph(network.for_embedding(size), image)
    of_pixels = OnnxEmbedder(pixel_model(graph, image, {}))
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = embed_pixels(network, pixels, image)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3, "images are told apart"
    for n in (1, 3):
        assert np.abs(of_pixels.embed(pixels[:n]) - expected[:n]).max() <= MOST_DIFFERENT


class Odd(nn.Module):
    """It does what the batch says, which no graph of operators can."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        total = float(images.sum())
        return images.mean((2, 3)) * (self.weight if total > 0 else -self.weight)


class Bound(nn.Module):
    """It takes two images at a time."""

    def forward(self, images: Tensor) -> Tensor:
        assert len(images) == 2
        return images.mean((2, 3))


@pytest.mark.parametrize(
    ("network", "why"),
    [(Odd(), "data-dependent"), (Bound(), "bound to one number of images")],
    ids=["branches", "bound"],
)
def test_what_cannot_be_written_is_refused_in_one_message(
    network: nn.Module, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LookalikeError, match=f"cannot be written as ONNX: .*{why}") as refused:
        network_graph(network, IMAGE)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_more_weights_than_a_file_holds_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "_MOST_BYTES", 1000)
    with pytest.raises(LookalikeError, match="a file of ONNX holds 2"):
        network_graph(made(CNN4[0]), IMAGE)


@pytest.mark.parametrize("number", [0, 3, 4])
@pytest.mark.parametrize("resize", RESIZES)
def test_images_of_every_kind_come_to_embeddings_as_near(
    number: int, resize: str, tmp_path: Path
) -> None:
    _, graph = exported(number)
    image = replace(IMAGE, resize=resize, background="#204080")
    cases = [(case.name, case.content) for case in list(image_matrix.every())[::45]]
    cosines = turned(graph, image, [*cases, *photographs(11, seed=number)], tmp_path)
    assert min(cosines) >= LEAST_COSINE


def turned(
    graph: onnx.GraphProto, image: ImageSettings, cases: list[tuple[str, bytes]], folder: Path
) -> list[float]:
    """The cosines of embeddings of whole images, as `read_image` gives them, to the workflow's."""
    model = image_model(graph, image, {})
    onnx.checker.check_model(model, full_check=True)
    of_images = OnnxEmbedder(model)
    of_pixels = OnnxEmbedder(pixel_model(graph, image, {}))
    cosines = []
    for _, content in cases:
        path = folder / "image"
        path.write_bytes(content)
        (found,) = of_images.embed(read_image(path, image.background)[None])
        (expected,) = of_pixels.embed(load_pixels(path, image)[None])
        cosines.append(cosine_of(found, expected))
    return cosines


@pytest.mark.long
@pytest.mark.parametrize("decode", ["fast", "exact"])
@pytest.mark.parametrize("resize", RESIZES)
def test_photographs_with_pretrained_weights(resize: str, decode: str, tmp_path: Path) -> None:
    size = 224
    network = backbone("efficientnet_lite", size, weights="pretrained", head="none").for_embedding(
        size
    )
    mean, std = (0.498,) * 3, (0.502,) * 3
    image = replace(IMAGE, size=size, resize=resize, decode=decode, mean=mean, std=std)
    cases = list(photographs(200))
    cosines = turned(network_graph(network, image), image, cases, tmp_path)
    worst = cases[int(np.argmin(cosines))][0]
    print(f"{resize}, {decode}: {min(cosines):.6f} ({worst}), mean {np.mean(cosines):.6f}")
    assert min(cosines) >= LEAST_COSINE


def test_the_versions_are_as_stated() -> None:
    _, graph = exported(0)
    model = image_model(graph, IMAGE, {"model_digest": "d", "image": "{}"})
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "model_digest": "d",
        "image": "{}",
    }
    assert MOST_DIFFERENT == 1e-4
    sides = model.graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in sides] == ["n", "height", "width", 3]
