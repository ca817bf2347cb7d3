"""What a job should ask a batch system for: memory and time, by the number of images.

Too little ends a job, too much lets it wait in the queue: so these are measured peaks with a margin
and each attempt asks for more. Imports nothing heavy: every job parses the Snakefile again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Need:
    """Of one step.

    Attributes:
        mb: of memory with few images: its libraries, mostly.
        mb_per_1000: of memory for each 1,000 images more.
        per_second: images a second on one core; where a network sees them, at 224 pixels.
        mb_per_thread: of memory for each image that is decoded beside others.
        bytes_per_pixel: of memory for each pixel of a batch in the network, on a CPU.
        cores_a_gpu: how many cores a GPU is worth, at the least.
    """

    mb: float
    mb_per_1000: float
    per_second: float
    mb_per_thread: float = 0.0
    bytes_per_pixel: float = 0.0
    cores_a_gpu: float = 0.0


# Measured on a CPU with 2 busy cores, as each step's log tells (VmHWM):
# - peaks of 500, 5,000 and 30,000 training and gallery images of 32 pixels: manifest 139 to 271 MB,
#   pixels 145 to 293, train 1,077 to 1,240, embed 654 to 752, metrics 737 to 885 (of a million
#   images: docs/performance.md); since the manifest looks for near-duplicates, 130 MB more for it:
#   277 MB of 5,000 and 344 of 30,000 images of 64 pixels;
# - scanning 600 photos of 24 megapixels: 218 MB with 1 thread, 489 with 4, 796 with 8, and 8 of
#   them a second on one core; decoding them with 8 threads: 391 MB and 12 a second on both cores
#   (fast), 1,136 MB and 7 a second (exact);
# - at 224 pixels: training 2,564 MB with batches of 24 and 9,502 with 128 (1,240 and 1,310 bytes a
#   pixel), 10 to 16 images a second on one core; embedding in passes of 32 1,423 MB (480 bytes).
# - embeddings whitened, cut or quantized (transform): 123 to 745 MB with few images.
# That a GPU trains as fast as 50 cores is a guess.
NEEDS = {
    "manifest": Need(290, 3.5, per_second=8, mb_per_thread=90),
    "pixels": Need(150, 5.0, per_second=6, mb_per_thread=120),
    "train": Need(1100, 6.0, per_second=10, bytes_per_pixel=1320, cores_a_gpu=50),
    "embed": Need(700, 3.0, per_second=6, mb_per_thread=120, bytes_per_pixel=480),
    "metrics": Need(800, 2.0, per_second=500),
    "transform": Need(750, 2.0, per_second=500),
}
# Two Snakemakes run beside a job's own process on a cluster.
SNAKEMAKE_MB = 500.0
# CUDA's context and libraries in main memory: what is commonly seen, not measured here.
CUDA_MB = 4000.0
SAFETY_FACTOR = 1.5
# Starting Python and Snakemake, and a slow disk's day.
LEAST_MINUTES = 15
# Scores a second of metrics: a tenth of what two cores did (docs/performance.md).
SCORES_PER_SECOND = 3e7
USUAL_PIXELS = 224**2


@dataclass(frozen=True)
class Work:
    """What a job has to do, and by what.

    Attributes:
        images: that it reads.
        passes: how often it goes through them, on average.
        image_size: pixels on each side, where a network sees them.
        batch: images in one pass of the network.
        gpus: that the job asks for.
        scores: that it computes.
        threads: that the job asks for.
        more_mb: of memory beside what every job of the step needs.
        bytes_per_pixel: as in `Need`, of this job's network; None for the step's own.
        per_second: likewise, of what the network alone can do.
    """

    images: int
    passes: float = 1
    image_size: int = 0
    batch: int = 0
    gpus: int = 0
    scores: int = 0
    threads: int = 1
    more_mb: float = 0.0
    bytes_per_pixel: float | None = None
    per_second: float | None = None


def memory_mb(step: str, work: Work, attempt: int = 1) -> int:
    """Memory to ask for, in MB; twice as much in a second attempt, and so on.

    Args:
        step: a key of `NEEDS`.
        work: what it has to do.
        attempt: 1 at first.
    """
    need = NEEDS[step]
    per_pixel = need.bytes_per_pixel if work.bytes_per_pixel is None else work.bytes_per_pixel
    mb = (
        work.more_mb
        + need.mb
        + need.mb_per_1000 * work.images / 1000
        + need.mb_per_thread * work.threads
    )
    if work.gpus:
        mb += work.gpus * CUDA_MB
    else:
        mb += per_pixel * work.batch * work.image_size**2 / 1e6
    return math.ceil((SNAKEMAKE_MB + SAFETY_FACTOR * mb) * attempt / 100) * 100


def minutes(step: str, work: Work, attempt: int = 1) -> int:
    """Time to ask for, in minutes; twice as much in a second attempt, and so on.

    Args:
        step: a key of `NEEDS`.
        work: what it has to do.
        attempt: 1 at first.
    """
    need = NEEDS[step]
    larger = max(1.0, work.image_size**2 / USUAL_PIXELS)
    cores = work.threads + need.cores_a_gpu * work.gpus
    # What is slower, decoding or the network.
    rate = min(need.per_second, work.per_second or math.inf)
    seconds = work.images * work.passes * larger / (rate * cores)
    seconds += work.scores / SCORES_PER_SECOND
    return math.ceil((LEAST_MINUTES + SAFETY_FACTOR * seconds / 60) * attempt)


def passes_of(recipe: Mapping[str, Any], images: int, largest_class: int, batch_size: int) -> float:
    """How often a training goes through its images, on average.

    Balanced batches are full, and hold a class once: one large class makes them draw the others
    again and again (see `lookalike.training.sampling`).

    Args:
        recipe: its complete settings.
        images: that it has.
        largest_class: images of the largest class.
        batch_size: images in a batch.
    """
    epochs, batch = recipe["epochs"], recipe["batch"]
    if epochs == "auto":
        drawn = recipe["steps"] * batch_size
        return float(drawn / images) if images else 0.0
    if batch["name"] != "balanced" or not images:
        return float(epochs)
    n_batches = math.ceil(largest_class / int(batch["images_per_class"]))
    return float(epochs * max(1.0, n_batches * batch_size / images))


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
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        return int(read_metadata(path).num_rows)
    except (OSError, ArrowException):  # damaged: it is made anew
        return 0
