"""Digests of settings. Imports nothing heavy: the Snakefile uses it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_of(value: Any, length: int = 16) -> str:
    """First `length` hexadecimal digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
