"""Lookalike: labelled images in, a similarity model and trustworthy retrieval metrics out.

For users, `from lookalike import ...`:

- `evaluate`: score two tables of embeddings, with chance values and intervals.
- `paired_differences`: how far two runs differ on the same queries.
- `search`: the nearest gallery items of each query.
- `embed_images`: the embeddings of image files by the model of a run.
- `read_image`: an image's pixels as the pipeline sees them.
- `LookalikeError`, `BadImageError`: what they raise where input cannot be used.

The packages, from the command's down; each imports only from those below it:

- `commands`: The subcommands of `lookalike`: what each takes, and what it calls.
- `preview`: What a run would do, found out before it does it: mistakes, jobs, time and disk.
- `steps`: What each rule of the workflow does: one file a rule, the function that its script calls.
- `exporting`: A run's model for programs that have no torch.
- `searching`: New images looked for in the gallery of a run.
- `sweeps`: Recipes made of recipes: one that extends another, and sweeps over settings.
- `report`: What the results say, as numbers, pictures and sentences for a page.
- `training`: Teaching a network by labelled images.
- `retrieval`: Ranking a gallery for queries, exactly, and measuring how good the rankings are.
- `embedding`: Sending images through a network, and the tables of embeddings that come of it.
- `models`: Networks that turn an image into an embedding, and their files.
- `importing`: From images as people have them to the layout that the workflow reads.
- `data`: The images and labels a user has: where they are, what they are, whether they can be used.
- `images`: From a file to the pixels that a network sees.
- `demo`: Images to try the workflow with, drawn from emoji fonts.
- `jobs`: How a job is done: its log, its signals, its locks, its machine.
- `storage`: Files that appear whole or not at all, and what is kept by content.

And single modules: `cli` (the command), `config` (the settings), `setting_faults` (mistakes in
them, in words), `old_names` (what is still understood), `errors`, `records` (what there is to
choose from), `text` (names and labels as a person reads them), `provenance` (digests of code and
libraries), `compilation`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.errors import BadImageError, LookalikeError
    from lookalike.images.decoding import read_image
    from lookalike.retrieval.evaluation import evaluate
    from lookalike.retrieval.search import search
    from lookalike.retrieval.statistics import paired_differences
    from lookalike.searching.image_vectors import embed_images

__all__ = [
    "BadImageError",
    "LookalikeError",
    "__version__",
    "embed_images",
    "evaluate",
    "paired_differences",
    "read_image",
    "search",
]
__version__ = "0.1.0"

# Imported on first use: rules import this package, and nothing heavy with it.
_MODULES = {
    "BadImageError": "lookalike.errors",
    "LookalikeError": "lookalike.errors",
    "embed_images": "lookalike.searching.image_vectors",
    "evaluate": "lookalike.retrieval.evaluation",
    "paired_differences": "lookalike.retrieval.statistics",
    "read_image": "lookalike.images.decoding",
    "search": "lookalike.retrieval.search",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
