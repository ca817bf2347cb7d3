"""Digests of the code behind each step, so that edited code re-runs what depends on it.

Snakemake looks at a rule's script but not at the modules it imports. A rule therefore carries the
digest of its step's modules among its params. Comments, docstrings and formatting do not change it.

Imports nothing heavy: every job parses the Snakefile again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
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
    "embed_shard": (*_EMBEDDING, "embedding_split", "tables"),
    "embed": (*_EMBEDDING, "embedding_split", "tables"),
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


@cache
def _digest_of_source(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = []
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


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
