"""Which data sets the suite has, how each is made, and how it is trained and scored.

    PYTHONPATH=benchmarks python -m suite.datasets FOLDER [--data emoji digits] [--work FOLDER]

writes FOLDER/<data set>/development and FOLDER/<data set>/final. Equal packages give equal bytes.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.storage.files import read_json, write_json
from suite.drawings import emoji
from suite.grey import digits, fashion_closed, fashion_open
from suite.layouts import SPLITS, Made
from suite.origins import origin_of_data
from suite.photographs import long_tail, photo_copies


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: of its folder.
        make: makes it; takes the folder in which fetched packages are kept.
        size: pixels to a side of the network's input.
        steps: batches that each recipe trains for, unless it says otherwise.
        unit: what its interval is over, beside seeds: `class` | `query`.
        note: what to know beside an interval.
    """

    name: str
    make: Callable[[Path], Made]
    size: int
    steps: int
    unit: str
    note: str = ""


NOT_INDEPENDENT = (
    "Windows of one photograph are not independent: of photographs nobody has seen the interval "
    "says too little."
)
SAME_WINDOWS = "They are those of photo_copies: the two data sets are not independent either."
FEW_CLASSES = "So few classes are no sample of others: the interval is over seeds and queries."
DATA_SETS = {
    data.name: data
    for data in (
        DataSet("emoji", emoji, 64, 200, "class"),
        DataSet("photo_copies", photo_copies, 64, 200, "class", NOT_INDEPENDENT),
        DataSet("long_tail", long_tail, 64, 200, "class", f"{NOT_INDEPENDENT} {SAME_WINDOWS}"),
        DataSet("fashion_open", fashion_open, 32, 200, "query", FEW_CLASSES),
        DataSet("fashion_closed", fashion_closed, 32, 200, "query"),
        DataSet("digits", digits, 32, 200, "query"),
    )
}

COMPLETE = "complete.json"


def build(name: str, folder: Path, work: Path) -> None:
    """Make a data set under folder/<name>, unless it is there, whole and by this code."""
    root, make = folder / name, DATA_SETS[name].make
    complete = root / COMPLETE
    origin = origin_of_data(Path(inspect.getfile(make)))
    if complete.exists():
        if read_json(complete).get("of") == origin:
            return
        print(f"{name}: made again, since other code or libraries made it", flush=True)
        complete.unlink()
    counts = make(work).write(root)
    # Last: what is cut short before is made again.
    write_json(complete, {"of": origin, "images": counts})
    for split in SPLITS:
        told = ", ".join(f"{part}: {count}" for part, count in counts[split].items())
        print(f"{name}/{split}: {told}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the data sets asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs="*", choices=list(DATA_SETS), default=list(DATA_SETS))
    parser.add_argument("--work", type=Path, help="where packages are unpacked: FOLDER/packages")
    asked = parser.parse_args(arguments)
    try:
        for name in asked.data:
            build(name, asked.folder, asked.work or asked.folder / "packages")
    except LookalikeError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
