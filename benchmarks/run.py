"""How fast each part is, as ratios to a baseline measured in the same run: `make bench`.

Prints tables and writes them to benchmarks/results.json beside a description of the machine.
docs/performance.md explains each line. Nothing here decides whether a test passes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import evaluation
import network
import reading
import training
from lookalike.storage.files import write_json
from timing import Figure, Result, as_dict, machine, show

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure everything, print it, write benchmarks/results.json."""
    described = machine()
    print(described, flush=True)
    results: list[Result | Figure] = []
    with tempfile.TemporaryDirectory() as scratch:
        for measure in (
            evaluation.full_suite,
            evaluation.peers,
            evaluation.resampling,
            lambda: reading.measure(Path(scratch) / "reading"),
            lambda: network.measure(Path(scratch) / "network", n_images=5000),
            lambda: training.measure(Path(scratch) / "training"),
        ):
            some = measure()
            print(show(some), flush=True)
            results += some
    write_json(
        HERE / "results.json",
        {"machine": described, "results": [as_dict(result) for result in results]},
    )


if __name__ == "__main__":
    main()
