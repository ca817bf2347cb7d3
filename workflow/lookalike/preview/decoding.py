"""How long this machine decodes an image of the data."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.jobs.speed import Speeds
from lookalike.preview.data import DataSeen

_BUDGET = 1.5  # seconds in which images are decoded, to learn how long that takes
_SAMPLE = 200  # images at most
_SIZE = 64  # pixels on each side, where an image is decoded to be looked at


def _kind_of(files: Sequence[Path]) -> list[object]:
    """What tells roughly how long images take to decode: their formats, and how large they are.

    So roughly that an image more or less changes nothing: a folder's other images do.
    """
    sizes = []
    for path in files:
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    size = round(math.log2(max(1.0, statistics.median(sizes)))) if sizes else 0
    return [size, sorted({path.suffix.lower() for path in files})]


class DecodingSpeed:
    """How long decoding an image of the data takes, with all threads at work.

    Args:
        settings: resolved.
        data: what the folder holds.
        threads: that decode.
        speeds: what is known of this machine.
    """

    def __init__(
        self, settings: Mapping[str, Any], data: DataSeen, threads: int, speeds: Speeds
    ) -> None:
        self._threads, self._speeds = threads, speeds
        layout = DataSettings.from_dict(settings["data"])
        found = [(split, name) for split in SPLITS for name in data.names(split)]
        # From all of the list: those of one class may be alike.
        stride = max(1, len(found) // _SAMPLE)
        self._files = [layout.folder(split) / name for split, name in found[::stride]]
        self._root = str(layout.root.absolute())
        self._kind = _kind_of(self._files)
        self._by_digest: dict[str, float] = {}

    def seconds(self, image: ImageSettings | None) -> float:
        """Seconds an image; None: to decode it as a whole, as the manifest does."""
        if image is None:
            black = (0.0, 0.0, 0.0)
            image = ImageSettings(_SIZE, "squash", "white", black, (1.0, 1.0, 1.0), "exact")
        digest = image.pixel_digest
        if digest not in self._by_digest:
            work = ["decoding", self._root, self._kind, digest, self._threads]
            self._by_digest[digest] = self._speeds.seconds(work, lambda: self._measured(image))
        return self._by_digest[digest]

    def seconds_of_digest(self, pixel_digest: str) -> float:
        """The same of settings that were asked for before."""
        return self._by_digest[pixel_digest]

    def _measured(self, image: ImageSettings) -> float:
        def decode(path: Path) -> None:
            # What cannot be used takes its time as well.
            with suppress(LookalikeError, OSError):
                load_pixels(path.read_bytes(), image)

        begun, done = time.perf_counter(), 0
        files = iter(self._files)
        with ThreadPoolExecutor(self._threads) as pool:
            while some := list(itertools.islice(files, 4 * self._threads)):
                list(pool.map(decode, some))
                done += len(some)
                if time.perf_counter() - begun > _BUDGET:
                    break
        return max((time.perf_counter() - begun) / max(1, done), 1e-9)
