"""What the search side adds, and what each of it costs: time, and memory above the imports.

Writes tables of 128 numbers an image around one centre a class, runs each step in a process of its
own and prints seconds, seconds of all cores together and peak memory, beside those of the metrics
of the same tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lookalike.embedding.tables import write_embeddings
from lookalike.storage.files import write_json
from timing import Figure, Result, as_dict, machine, show

HERE = Path(__file__).resolve().parent
DIMENSION = 128

# Each in the folder of the tables, as the script of its rule calls it.
STEPS = {
    "metrics": "steps.metrics.evaluate_files(Q, G, OUT, MetricsSettings(), device='cpu')",
    "whitened: fit": "steps.fit_projection.fit_projection(T, P, S, WHITENED, whiten=True)",
    "whitened: project": "steps.project.project(P, [Q, G], [OUT / 'q', OUT / 'g'])",
    "quantized": "steps.quantize.quantize([Q, G], [OUT / 'q', OUT / 'g'], S)",
    "expanded": "steps.expand.expand_queries(Q, G, OUT / 'q', S, MIXED, ALL)",
    "augmented": "steps.augment.augment_gallery(Q, G, OUT / 'g', S, MIXED, ALL)",
    "scaled": "steps.scale.scale_distances(Q, G, BOTH, S, {'k': 10}, ALL)",
    "reranked": "steps.rerank.rerank(Q, G, OUT, asdict(MetricsSettings()), RERANKED, NONE)",
}
# Memory in KiB as Linux counts it: what the imports hold, and the peak in the end.
PROGRAM = """
import sys, time
from dataclasses import asdict
from pathlib import Path
from lookalike import steps
from lookalike.retrieval.candidates import Candidates
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps import augment, expand, fit_projection, metrics
from lookalike.steps import project, quantize, rerank, scale
Q, G, T, P, S, OUT = map(Path, ("q.parquet", "g.parquet", "t.parquet", "p", "s", "out"))
BOTH, NONE, MIXED = (OUT / "q", OUT / "g"), (None, None), {"k": 3, "alpha": 3.0}
ALL = Candidates("none", NONE)
WHITENED = {"dim": "all", "shrink": 0.1}
RERANKED = {"first": int(sys.argv[2]), "k1": 20, "k2": 6, "lambda": 0.3}
def memory(key):
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(key)][0]
before, started, busy = memory("VmRSS"), time.monotonic(), time.process_time()
exec(sys.argv[1])
took = time.monotonic() - started, time.process_time() - busy
print("done", before, memory("VmHWM"), *took)
"""


def write_tables(folder: Path, sizes: dict[str, int], classes: int) -> None:
    """The tables of queries, gallery and training images."""
    centres = np.random.default_rng(99).normal(size=(classes, DIMENSION)).astype(np.float32)
    stated = {"model_digest": "0" * 32, "score": "cosine", "image": {}, "version": "0"}
    for seed, (name, n) in enumerate(sizes.items()):
        rng = np.random.default_rng(seed)
        of_each = rng.integers(classes, size=n)
        rows = centres[of_each] + 2 * rng.normal(size=(n, DIMENSION)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        write_embeddings(
            folder / f"{name}.parquet",
            [f"{name}/{at:07d}.jpg" for at in range(n)],
            [f"class {label}" for label in of_each],
            [f"{at:064x}" for at in range(n)],
            rows,
            stated,
        )


def main() -> None:
    """Measure, print, write benchmarks/results-search-side.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--training", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=200)
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    options = parser.parse_args()
    described = machine()
    print(described, flush=True)
    results: list[Result | Figure] = []
    scores = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sizes = {"q": options.queries, "g": options.gallery, "t": options.training}
        write_tables(folder, sizes, options.classes)
        (folder / "out").mkdir()
        for name in options.steps:
            command = [sys.executable, "-c", PROGRAM, STEPS[name], str(options.first)]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder
            )
            before, peak, seconds, busy = map(float, done.stdout.split("done")[1].split())
            results += [
                Figure(name, seconds, "s"),
                Figure("  of all cores together", busy, "s"),
                Figure("  peak memory above the imports", (peak - before) / 2**10, "MiB"),
            ]
            metrics = folder / "out" / "metrics.json"
            if metrics.exists():
                scores[name] = json.loads(metrics.read_text())["metrics"]["mAP@10"]
                metrics.unlink()
            print(show(results[-3:]), flush=True)
    print("mAP@10", scores)
    write_json(
        HERE / "results-search-side.json",
        {"machine": described, "results": [as_dict(result) for result in results]},
    )


if __name__ == "__main__":
    main()
