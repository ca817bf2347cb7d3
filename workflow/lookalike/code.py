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
from importlib.metadata import version
from pathlib import Path

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGE = Path(__file__).resolve().parent
SCRIPTS = PACKAGE.parent / "scripts"

# What each step's result depends on. Left out on purpose: errors, logs, progress, devices (they
# change what is said or where it is done, not what is made) and this module. tests/test_code.py
# holds it against the real imports.
_FILES = ("digests", "files")
_IMAGES = (*_FILES, "decoding", "images", "manifest_table", "pixels", "store")
_EMBEDDING = (*_IMAGES, "embedding", "models", "normalisation")
STEPS: dict[str, tuple[str, ...]] = {
    "demo": (*_FILES, "demo", "emoji"),
    "manifest": (
        *_FILES,
        "data_findings",
        "data_layout",
        "data_report",
        "decoding",
        "labels",
        "manifest",
        "manifest_table",
        "scan",
    ),
    "pixels": _IMAGES,
    "train": (
        *_EMBEDDING,
        "metrics",
        "ranking",
        "augmentation",
        "checkpoints",
        "losses",
        "sampling",
        "training",
        "training_run",
        "validation",
    ),
    "embed_shard": (*_EMBEDDING, "embedding_split", "shards", "tables"),
    "embed": (*_EMBEDDING, "embedding_split", "shards", "tables"),
    "metrics": (
        "files",
        "metrics",
        "ranking",
        "chance",
        "evaluation",
        "retrieval",
        "statistics",
        "tables",
    ),
    "compare": ("files", "comparison", "metrics"),
    "report": (
        "files",
        "charts",
        "comparison",
        "decoding",
        "examples",
        "figures",
        "glossary",
        "inspection",
        "metrics",
        "report",
        "results",
        "standings",
        "statistics",
        "thumbnails",
    ),
}

# The installed packages whose version may change a step's numbers, by the name they import as.
# Those that only carry numbers from place to place (pyarrow, pandas, safetensors) are left out.
SHAPING = {
    "PIL": "pillow",
    "torch": "torch",
    "kornia": "kornia",
    "pytorch_metric_learning": "pytorch-metric-learning",
}
LIBRARIES: dict[str, tuple[str, ...]] = {
    "demo": ("pillow",),
    "manifest": ("pillow",),
    "pixels": ("pillow",),
    "train": ("kornia", "pillow", "pytorch-metric-learning", "torch"),
    "embed_shard": ("pillow", "torch"),
    "embed": ("pillow", "torch"),
    "metrics": ("torch",),
    "compare": (),
    "report": ("pillow",),
}


def software(step: str) -> dict[str, str]:
    """The installed version of each library that a step's numbers come from."""
    return {name: version(name) for name in LIBRARIES[step]}


@cache
def _digest_of_source(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in (tree, *_statements(tree)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = []
    return hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()


def _statements(node: ast.AST) -> list[ast.AST]:
    """All statements inside `node`, at any depth; expressions hold no docstring, and are many."""
    inside = [
        child
        for block in ("body", "orelse", "handlers", "finalbody", "cases")
        for child in _block(node, block)
    ]
    return inside + [deeper for child in inside for deeper in _statements(child)]


def _block(node: ast.AST, name: str) -> list[ast.AST]:
    # A lambda's body and both branches of `a if b else c` are single expressions.
    block = getattr(node, name, [])
    return block if isinstance(block, list) else []


def code_digest(step: str) -> str:
    """16 hexadecimal digits that change when the code of a step (or its script) does."""
    return _digest_of([*_sources(STEPS[step]), SCRIPTS / f"{step}.py"])


def modules_digest(*modules: str) -> str:
    """16 hexadecimal digits that change when the code of one of these modules does.

    Caches are keyed by it: what was decoded or embedded by other code is not found.
    """
    return _digest_of(_sources(modules))


def _sources(modules: Sequence[str]) -> list[Path]:
    return [PACKAGE / f"{module}.py" for module in modules]


def _digest_of(sources: Sequence[Path]) -> str:
    digests = [_digest_of_source(source) for source in sorted(sources)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
