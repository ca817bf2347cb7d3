"""Parts of a split that are embedded side by side: which image is in which part.

An image's part follows from its content alone, so that a change of one image touches one part.
Imports pyarrow only where a manifest is read: the Snakefile uses this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


def shard_of(sha256: str, parts: int) -> int:
    """The part, from 0, in which an image of this content is."""
    return int(sha256[:8], 16) % parts


def read_item(item: str) -> tuple[int, int]:
    """Number (from 0) and count of `3-of-8`, as Snakemake names the parts."""
    number, parts = item.split("-of-")
    return int(number) - 1, int(parts)


def shard_digest(manifest: str | Path, item: str) -> str:
    """16 hexadecimal digits over the distinct usable contents of one part of a manifest's images.

    Names and labels do not count: what is embedded does not depend on them.
    """
    number, parts = read_item(item)
    return _digests(Path(manifest), Path(manifest).stat().st_mtime_ns, parts)[number]


# Asked for once for each part, and each time Snakemake looks at the jobs again.
@lru_cache(maxsize=8)
def _digests(manifest: Path, _mtime_ns: int, parts: int) -> list[str]:
    from lookalike.data.manifest_table import read_manifest, usable

    hashes: Iterable[str] = usable(read_manifest(manifest))["sha256"].to_pylist()
    digests = [hashlib.sha256() for _ in range(parts)]
    for sha256 in sorted(set(hashes)):
        digests[shard_of(sha256, parts)].update(sha256.encode())
    return [digest.hexdigest()[:16] for digest in digests]
