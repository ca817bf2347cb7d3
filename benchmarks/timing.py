"""Times as ratios to a baseline that is measured in the same run."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

REPEATS = 5


@dataclass(frozen=True)
class Result:
    """One line of the table: how long ours took, and the baseline, in seconds."""

    what: str
    ours: float
    baseline: str
    baseline_seconds: float

    @property
    def ratio(self) -> float:
        """Time of ours over time of the baseline; below 1 is faster."""
        return self.ours / self.baseline_seconds


@dataclass(frozen=True)
class Figure:
    """A number that is no ratio: a peak of memory, say."""

    what: str
    value: float
    unit: str


def as_dict(result: Result | Figure) -> dict[str, object]:
    """A line as JSON types."""
    return asdict(result) | ({"ratio": result.ratio} if isinstance(result, Result) else {})


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of `repeats` calls, after one to warm up."""
    return alternately({"": work}, repeats)[""]


def alternately(
    works: Mapping[str, Callable[[], object]], repeats: int = REPEATS, *, warm_up: bool = True
) -> dict[str, float]:
    """Median seconds of each, in turn: what slows the machine down slows all of them.

    The one that begins changes too: what ran before, and left the memory so, tells in the times.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for repeat in range(-warm_up, repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            took, _ = once(works[name])
            if repeat >= 0:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def once(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time of one call, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def show(results: Sequence[Result | Figure]) -> str:
    """The results as an aligned table."""
    lines = [f"{'what':<56}{'seconds':>9}  {'baseline':<46}{'seconds':>9}{'ratio':>7}"]
    for row in results:
        if isinstance(row, Result):
            lines.append(
                f"{row.what:<56}{row.ours:>9.3f}  {row.baseline:<46}"
                f"{row.baseline_seconds:>9.3f}{row.ratio:>7.2f}"
            )
        else:
            lines.append(f"{row.what:<56}{row.value:>9.4g}  {row.unit}")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What the figures are measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        **{name: version(name) for name in ("torch", "numpy", "numba", "pillow", "pyarrow")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
