"""Lookalike: labelled images in, a similarity model and trustworthy retrieval metrics out.

For users: `read_image`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.images.decoding import read_image

__all__ = ["read_image"]
__version__ = "0.1.0"

# Imported on first use: rules import this package, and nothing heavy with it.
_MODULES = {"read_image": "lookalike.images.decoding"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
