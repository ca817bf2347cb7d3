"""What `lookalike search` costs: start-up, and a query, beside faiss's flat index if it is there.

`PYTHONPATH=tests python benchmarks/searching.py [sizes]` takes a few minutes for 10,000, 100,000
and 1,000,000 vectors of 128 numbers. faiss is no dependency: where it is not installed, its columns
are empty. Seconds of the processor stand beside those of the clock: other work on the machine
lengthens these alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from lookalike.embedding.tables import write_embeddings
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.searching.answers import AnswerSet, SearchedGallery
from lookalike.searching.chosen_run import open_run
from lookalike.searching.image_files import ImageFile
from lookalike.searching.new_images import ImageEmbedder, LeftOut
from lookalike.storage.files import write_json, write_parquet
from support.drawings import draw
from support.models import IMAGE, MODEL
from timing import machine

SIZES = (10_000, 100_000, 1_000_000)
DIMENSION, BATCH, DEPTH, REPEATS = 128, 64, 10, 3
RUN, SIDE = "default.0", 64
COLUMNS = (
    "vectors",
    "start-up, s of clock",
    "s of processor",
    "a query, ms of clock",
    "ms of processor",
    "faiss, ms of clock",
    "ms of processor",
    "same neighbours",
)


def clocked(work: Callable[[], Any], of: int = RUSAGE_SELF) -> tuple[float, float, Any]:
    """Seconds of the clock and of the processor that a call took, and what it returned."""
    before, started = getrusage(of), time.perf_counter()
    result = work()
    took, after = time.perf_counter() - started, getrusage(of)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def least(work: Callable[[], Any], of: int = RUSAGE_SELF) -> tuple[float, float, Any]:
    """The least of several calls, each figure for itself, after one to warm up."""
    runs = [clocked(work, of) for _ in range(REPEATS + 1)][1:]
    return min(run[0] for run in runs), min(run[1] for run in runs), runs[-1][2]


def write_results(results: Path, vectors: NDArray[np.float32]) -> None:
    """A run with a network of random weights, whose gallery has these embeddings."""
    folder = results / RUN
    torch.manual_seed(0)
    settings: dict[str, Any] = MODEL | {"embedding_dim": DIMENSION}
    image = replace(IMAGE, size=SIDE)
    digest = save_model(
        build_model(ModelSettings.from_dict(settings), SIDE),
        folder / "model.safetensors",
        folder / "model.json",
        settings=settings,
        image=image.to_dict(),
        facts={},
    )
    n = len(vectors)
    metadata = {"model_digest": digest, "score": "cosine", "image": image.to_dict(), "version": ""}
    write_embeddings(
        folder / "embeddings" / "gallery.parquet",
        [f"folder/{number:07d}.jpg" for number in range(n)],
        [f"label {number % 1000}" for number in range(n)],
        [f"{number:064x}" for number in range(n)],
        vectors,
        metadata,
    )
    write_json(folder / "embeddings" / "gallery.json", {"model_digest": digest})
    rows = pa.table({"run": [RUN], "state": ["trained"]})
    write_parquet(results / "comparison.parquet", rows)


def program(*arguments: str) -> Callable[[], object]:
    """A process of its own."""
    return lambda: subprocess.run(arguments, check=True, capture_output=True)


def of_faiss(
    vectors: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[float, float, NDArray[np.int64]] | None:
    """faiss's exact index in memory: seconds for the queries, and what it finds."""
    if importlib.util.find_spec("faiss") is None:
        return None
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors)
    took, processor, (_, found) = least(lambda: index.search(queries, DEPTH))
    return took, processor, found


def measure(n: int, folder: Path) -> dict[str, float | None]:
    """One line of the table."""
    generator = np.random.default_rng(n)
    vectors = generator.normal(size=(n, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = generator.normal(size=(BATCH, DIMENSION)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    results = folder / "results"
    write_results(results, vectors)
    image = folder / "image.png"
    draw(1, 1, SIDE).save(image)

    run = open_run(results)
    embedder = ImageEmbedder(run.weights, "cpu")
    file = ImageFile(str(image), image, found=False)
    # What is not start-up: torch itself, and one pass of the network.
    without = least(program(sys.executable, "-c", "import torch"), RUSAGE_CHILDREN)
    one_pass = least(lambda: list(embedder.embed([file], LeftOut("fail"))))
    command = "import sys; from lookalike.cli import main; sys.exit(main())"
    arguments = ["search", str(results), str(image), "--json", "--device", "cpu"]
    whole = least(program(sys.executable, "-c", command, *arguments), RUSAGE_CHILDREN)

    gallery = SearchedGallery(run)
    files = [ImageFile(str(number), Path(str(number)), found=False) for number in range(BATCH)]

    def ask() -> AnswerSet:
        return gallery.of_images(files, ["f" * 64] * BATCH, queries, DEPTH)

    ours = least(ask)
    theirs = of_faiss(vectors, queries)
    same = None if theirs is None else float((theirs[2] == ours[2].places).mean())
    values: list[float | None] = [
        n,
        whole[0] - without[0] - one_pass[0],
        whole[1] - without[1] - one_pass[1],
        1000 * ours[0] / BATCH,
        1000 * ours[1] / BATCH,
        1000 * theirs[0] / BATCH if theirs else None,
        1000 * theirs[1] / BATCH if theirs else None,
        same,
    ]
    keys = ("n", "start_up", "start_up_cpu", "query_ms", "query_cpu_ms", "faiss_ms", "faiss_cpu_ms")
    return dict(zip((*keys, "same_as_faiss"), values, strict=True))


def main() -> None:
    """Measure, print a table, and write benchmarks/results-searching.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="vectors in the gallery")
    sizes = parser.parse_args().sizes
    print(json.dumps(machine()), flush=True)
    print(" | ".join(COLUMNS))
    lines = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            line = measure(n, Path(scratch))
        lines.append(line)
        cells = ["" if value is None else f"{value:.4g}" for value in line.values()]
        print(" | ".join(cells), flush=True)
    write_json(
        Path(__file__).with_name("results-searching.json"),
        {"machine": machine(), "queries_at_once": BATCH, "results": lines},
    )


if __name__ == "__main__":
    main()
