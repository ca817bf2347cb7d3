"""Embeddings of image files as an array, for whoever writes Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.searching.chosen_run import open_run
from lookalike.searching.image_files import ImageFile
from lookalike.searching.new_images import ImageEmbedder, LeftOut


def embed_images(
    results: str | os.PathLike[str],
    images: Sequence[str | os.PathLike[str]],
    *,
    run: str | None = None,
    device: str = "auto",
) -> NDArray[np.float32]:
    """Embed image files by the model of a run.

    An image has the bytes that the workflow, and `lookalike embed`, give it.

    Args:
        results: the results folder of a workflow.
        images: n files, at least one.
        run: name of the run, or of one of its states (`default.0/untrained`); None takes the one
            that the report shows first, or the only one.
        device: where to embed: `auto`, `cpu`, `cuda` or `mps`.

    Returns:
        float32 [n, d], in the order of `images`.

    Raises:
        LookalikeError: there is no such run, it has no model or its files do not belong together,
            or an image cannot be used.
    """
    if isinstance(images, (str, os.PathLike)):
        raise LookalikeError(f"images must be a list of files, such as [{os.fspath(images)!r}]")
    files = [ImageFile(os.fspath(image), Path(image), found=False) for image in images]
    if not files:
        raise LookalikeError("there are no images to embed: the list is empty")
    chosen = open_run(Path(results), run)
    chosen.require_model("images cannot be embedded")
    parts = ImageEmbedder(chosen.weights, device).embed(files, LeftOut("fail"))
    return np.concatenate([part.vectors for part in parts])
