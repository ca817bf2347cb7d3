"""How to use the model of a run from here: commands and lines with its own paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lookalike.report.results import Results
from lookalike.report.started import shell_word
from lookalike.text import is_unseen


@dataclass(frozen=True)
class Use:
    """What to type, for a run.

    Attributes:
        run: its name; None where no run has a model.
        search: commands that look for images.
        embed: commands that embed a folder of images, and search among them.
        export: the command that writes the model for programs without torch.
        python: lines that embed an image, and look for it.
        gallery_itself: the command that needs no model, of the run that is shown first.
    """

    run: str | None
    search: Sequence[str]
    embed: Sequence[str]
    export: Sequence[str]
    python: Sequence[str]
    gallery_itself: str


def use_of(by_rank: Sequence[Results], results: str) -> Use:
    """How to use the first of `by_rank` that has a model.

    Args:
        by_rank: the runs, the one that is shown first before all others.
        results: the results folder, as the settings name it.
    """
    # A name that begins with a dash would be an option.
    folder = f"./{results}" if results.startswith("-") else results
    place, leading = shell_word(folder), shell_word(by_rank[0].folder_name)
    gallery_itself = f"lookalike search {place} --gallery-itself --run {leading} --html near.html"
    model = next((run for run in by_rank if not run.is_given), None)
    if model is None:
        return Use(None, (), (), (), (), gallery_itself)
    of_run = f"--run {shell_word(model.folder_name)}"
    gallery = str(PurePosixPath(folder, model.folder_name, "embeddings", "gallery.parquet"))
    network = model.model.get("model", {})
    # Without a head it is that of the backbone's features.
    width = "d" if network.get("head") == "none" else network.get("embedding_dim", "d")
    return Use(
        model.folder_name,
        (
            f"lookalike search {place} photo.jpg {of_run}",
            f"lookalike search {place} photos/ {of_run} --html found.html",
        ),
        (
            f"lookalike embed {place} photos/ {of_run} --out photos.parquet",
            f"lookalike search {place} photo.jpg {of_run} --among photos.parquet",
        ),
        (f"lookalike export {place} {of_run} --check",),
        (
            "from lookalike import embed_images, search",
            f'vectors = embed_images({_python(folder)}, ["photo.jpg"], run={model.folder_name!r})'
            f"  # float32 [1, {width}]",
            f"print(search(vectors, {_python(gallery)}, depth=10, "
            f"score={model.main.summary['score']!r}).table().to_pandas())",
        ),
        gallery_itself,
    )


def _python(text: str) -> str:
    return ascii(text) if any(map(is_unseen, text)) else repr(text)
