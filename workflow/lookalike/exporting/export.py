"""What `lookalike export` does."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from lookalike import __version__
from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.exporting.checking import (
    MOST_DIFFERENT,
    Agreement,
    check_on_gallery,
    difference_of,
)
from lookalike.exporting.description import description_of
from lookalike.exporting.network_graph import OPSET, network_graph
from lookalike.exporting.onnx_models import OnnxEmbedder, image_model, pixel_model
from lookalike.exporting.places import (
    DESCRIPTION_FILE,
    IMAGE_FILE,
    PIXEL_FILE,
    export_folder,
    require_export_folder,
)
from lookalike.images.resizing import ImageSettings
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.files import load_model
from lookalike.searching.chosen_run import SearchedRun, open_run
from lookalike.storage.files import all_whole, json_text, save_text
from lookalike.text import shown_path

log = logging.getLogger(__name__)


def export_run(
    results: Path,
    out: Path | None,
    *,
    run: str | None = None,
    check: bool = False,
    gallery_folder: Path | None = None,
) -> None:
    """Write the model of a run as two ONNX models and their description; all appear, or none does.

    Args:
        results: the results folder.
        out: the folder to write them to; None takes `export` in the run's folder.
        run: its name; None takes the one that the report shows first.
        check: compare what they make of gallery images with the run's embeddings first.
        gallery_folder: where the gallery's images lie, should they have moved.

    Raises:
        LookalikeError: something cannot be used, the network cannot be exported, or the models
            differ from the run's embeddings by more than rounding explains.
    """
    chosen = open_run(results, run, gallery_folder=gallery_folder)
    chosen.require_model("nothing can be exported")
    out = export_folder(chosen) if out is None else out
    require_export_folder(out, results, chosen)
    network, image = _network(chosen)
    graph, facts = network_graph(network, image), _facts(chosen)
    models = {
        PIXEL_FILE: pixel_model(graph, image, facts),
        IMAGE_FILE: image_model(graph, image, facts),
    }
    for model in models.values():
        onnx.checker.check_model(model, full_check=True)
    of_pixels, of_images = map(OnnxEmbedder, models.values())
    _require_same(of_pixels, network, image)
    agreement = None
    if check:
        agreement = check_on_gallery(chosen, results, of_pixels.embed, of_images.embed)
        _tell(agreement, chosen)
        agreement.require_within()
    # The description comes last: where it is, the models are those that it is of.
    with all_whole([out / name for name in (*models, DESCRIPTION_FILE)]) as besides:
        contents = {
            name: model.SerializeToString(deterministic=True) for name, model in models.items()
        }
        for beside, content in zip(besides, contents.values(), strict=False):
            beside.write_bytes(content)
        description = description_of(models, contents, chosen, agreement)
        save_text(besides[-1], json_text(description))
    for name, taken in zip(models, ("resized pixels", "images of any size"), strict=True):
        log.info(
            "%s: %s by ONNX, opset %d, from %s", shown_path(out / name), chosen.name, OPSET, taken
        )


def _tell(agreement: Agreement, run: SearchedRun) -> None:
    log.info(
        "%d gallery images of %s: from resized pixels, embeddings differ by at most %.1e of "
        "their length (%s); from whole images, their cosine is at least %.6f (%s)",
        agreement.n_images,
        run.name,
        agreement.difference,
        agreement.differing,
        agreement.cosine,
        agreement.turned,
    )


def _network(run: SearchedRun) -> tuple[nn.Module, ImageSettings]:
    """The network of a run, as the workflow embeds with it, and its image settings."""
    try:
        network, description = load_model(run.weights)
    except OSError as error:
        raise LookalikeError(
            f"{shown_path(run.weights)}: cannot be read: {error.strerror}"
        ) from error
    image = ImageSettings.from_dict(description["image"])
    if isinstance(network, EmbeddingNetwork):
        network = network.for_embedding(image.size)
    return network.eval(), image


def _facts(run: SearchedRun) -> dict[str, str]:
    """What the models say of themselves, as ONNX's metadata: text by name."""
    return {
        "model_digest": run.digest,
        "run": run.name,
        "model": json.dumps(run.model["model"]),
        "image": json.dumps(ImageSettings.from_dict(run.model["image"]).to_dict()),
        "score": run.score,
        "version": __version__,
    }


def _require_same(exported: OnnxEmbedder, network: nn.Module, image: ImageSettings) -> None:
    """See that a model embeds as its network does, one image and some."""
    shape = (3, image.size, image.size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with torch.inference_mode():
        expected = embed_pixels(network, pixels, image)
    for n in (1, 3):
        found = exported.embed(pixels[:n])
        worst = max(map(difference_of, found, expected[:n]))
        if found.shape != expected[:n].shape or not worst <= MOST_DIFFERENT:
            raise LookalikeError(
                f"the network as ONNX differs from itself by {worst:.1e} of an embedding's length, "
                f"with {n} images at a time. Export a run with another backbone"
            )
