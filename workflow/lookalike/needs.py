"""What a job should ask a batch system for: memory and time, by the number of images.

Too little ends a job, too much lets it wait in the queue: so these are measured peaks with a margin
and each attempt asks for more. Imports nothing heavy: every job parses the Snakefile again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """Of one step.

    Attributes:
        mb: of memory with few images: its libraries, mostly.
        mb_per_1000: of memory for each 1,000 images more.
        per_second: images a second, on slow disks and few cores.
    """

    mb: float
    mb_per_1000: float
    per_second: float


# Peaks (VmHWM, as each step's log tells) of 500, 5,000 and 30,000 training and gallery images, on a
# CPU with 2 cores, at 32 pixels; docs/performance.md has metrics of a million. What pixels, embed
# and train need for larger images is added below.
NEEDS = {
    "manifest": Need(150, 3.0, 100),
    "pixels": Need(250, 3.0, 30),
    "train": Need(1100, 3.0, 100),
    "embed": Need(700, 3.0, 30),
    "metrics": Need(800, 2.0, 1000),
}
# Two Snakemakes run beside a job's own process on a cluster.
SNAKEMAKE_MB = 500.0
# CUDA's context and libraries in main memory: what is commonly seen, not measured here.
CUDA_MB = 4000.0
MARGIN = 1.5
# Starting Python and Snakemake, and a slow disk's day.
LEAST_MINUTES = 15
# Scores a second of metrics: a tenth of what two cores did (docs/performance.md).
SCORES_PER_SECOND = 3e7
# How much faster a GPU trains and embeds than the rates above, at the least: not measured here.
GPU_FACTOR = 5.0
USUAL_PIXELS = 224**2


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        images: that it reads.
        passes: how often it goes through them.
        image_size: pixels on each side, where a network sees them.
        batch: images in one pass of the network.
        gpus: that the job asks for.
        scores: that it computes.
    """

    images: int
    passes: int = 1
    image_size: int = 0
    batch: int = 0
    gpus: int = 0
    scores: int = 0


def memory_mb(step: str, work: Work, attempt: int = 1) -> int:
    """Memory to ask for, in MB; twice as much in a second attempt, and so on.

    Args:
        step: a key of `NEEDS`.
        work: what it has to do.
        attempt: 1 at first.
    """
    need = NEEDS[step]
    mb = need.mb + need.mb_per_1000 * work.images / 1000 + work.gpus * CUDA_MB
    if not work.gpus:
        # Activations of the four-layer network in float32: 32 channels at full size, about as much
        # again in what follows, and the gradients of both.
        mb += work.batch * work.image_size**2 * 32 * 4 * 4 / 1e6
    return math.ceil((SNAKEMAKE_MB + MARGIN * mb) * attempt / 100) * 100


def minutes(step: str, work: Work, attempt: int = 1) -> int:
    """Time to ask for, in minutes; twice as much in a second attempt, and so on.

    Args:
        step: a key of `NEEDS`.
        work: what it has to do.
        attempt: 1 at first.
    """
    larger = max(1.0, work.image_size**2 / USUAL_PIXELS)
    faster = GPU_FACTOR * work.gpus if work.gpus else 1.0
    seconds = work.images * work.passes * larger / (NEEDS[step].per_second * faster)
    seconds += work.scores / SCORES_PER_SECOND
    return math.ceil((LEAST_MINUTES + MARGIN * seconds / 60) * attempt)


def images_in(paths: Iterable[str | Path]) -> int:
    """How many images some manifests or label files name; a label file's are estimated.

    What is not there yet (the demo's data) counts as none.
    """
    there = [Path(path) for path in paths if Path(path).exists()]
    return sum(_images_in(path, path.stat().st_mtime_ns) for path in there)


@cache
def _images_in(path: Path, changed: int) -> int:
    if path.suffix != ".parquet":
        return path.stat().st_size // 40  # "some_name.jpg": "a label",
    from pyarrow.parquet import read_metadata

    return int(read_metadata(path).num_rows)
