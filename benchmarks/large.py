"""`lookalike evaluate` with a million gallery images: `make bench-large`.

Writes two tables of 128 numbers an image (about half a gigabyte), evaluates them in a process of
its own and prints how long it took and how much memory it held at its peak, beside the bare
float32 product and the size of the result tables.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lookalike.storage.files import write_json
from timing import Figure, Result, as_dict, machine, once, show

HERE = Path(__file__).resolve().parent
DIMENSION, CLASSES = 128, 5000

# Memory in KiB as Linux counts it: what the imports hold, and the peak in the end.
PROGRAM = """
import sys
from lookalike import cli
from lookalike.steps import metrics as evaluation
def memory(key):
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(key)][0]
before = memory("VmRSS")
cli.main(sys.argv[1:])
print("peak", before, memory("VmHWM"))
"""


def write_table(path: Path, name: str, n: int, seed: int) -> None:
    """Embeddings around one centre a class, in row groups of 8,192."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, DIMENSION)).astype(np.float32)
    schema = pa.schema(
        {
            "image_id": pa.string(),
            "label": pa.string(),
            "embedding": pa.list_(pa.float32(), DIMENSION),
        },
        metadata={"lookalike": '{"score": "cosine"}'},
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, n, 8192):
            rows = min(8192, n - start)
            labels = generator.integers(CLASSES, size=rows)
            vectors = centres[labels] + 2 * generator.normal(size=(rows, DIMENSION))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            flat = pa.array(vectors.astype(np.float32).ravel())
            columns = [
                pa.array([f"{name}/{start + row:07d}.jpg" for row in range(rows)]),
                pa.array([f"class {label}" for label in labels]),
                pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def product(queries: int, gallery: int) -> None:
    """As many inner products as the evaluation makes, and nothing else."""
    rows, block = torch.randn(256, DIMENSION), torch.randn(16_384, DIMENSION)
    for _ in range(0, queries, len(rows)):
        for _ in range(0, gallery, len(block)):
            torch.mm(rows, block.T)


def main() -> None:
    """Measure, print, write benchmarks/results-large.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=1_000_000)
    options = parser.parse_args()
    described = machine()
    print(described, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        query, gallery = (Path(scratch) / f"{name}.parquet" for name in ("query", "gallery"))
        write_table(query, "q", options.queries, 1)
        write_table(gallery, "g", options.gallery, 2)
        out = Path(scratch) / "out"
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            "evaluate",
            *map(str, (query, gallery, "--out", out)),
        ]
        took, done = once(
            lambda: subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        )
        before, peak = map(int, done.stdout.split("peak")[1].split())
        tables = sum(
            pq.read_table(out / name).nbytes for name in ("per_query.parquet", "rankings.parquet")
        )
    bare, _ = once(lambda: product(options.queries, options.gallery))
    size = f"{options.queries:,} x {options.gallery:,} x {DIMENSION}"
    results: list[Result | Figure] = [
        Result(f"lookalike evaluate, {size}", took, "bare float32 product", bare),
        Figure("  peak memory above the imports", (peak - before) / 2**10, "MiB"),
        Figure("  of which result tables", tables / 2**20, "MiB"),
    ]
    print(show(results))
    write_json(
        HERE / "results-large.json",
        {"machine": described, "results": [as_dict(result) for result in results]},
    )


if __name__ == "__main__":
    main()
