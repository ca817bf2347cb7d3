"""A data folder out of any bytes: its manifest, or one error in a sentence.

The label files are made of fuzzed bytes, or of pairs whose names are those of files that are there,
nearly those, or fuzzed. Beside real images lie files of fuzzed bytes and one of a fuzzed name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import LABEL_FILES, atheris, fuzz, images, memory_folder

# numba does not compile what is instrumented.
with atheris.instrument_imports(include=["lookalike"], exclude=["lookalike.data.near_duplicates"]):
    from lookalike.data.findings import summary
    from lookalike.data.labels import read_labels
    from lookalike.data.layout import SPLITS, DataSettings
    from lookalike.data.manifest_table import SCHEMA
    from lookalike.errors import LookalikeError
    from lookalike.images import decoding
    from lookalike.images import limits as image_limits
    from lookalike.steps.manifest import build_manifest

image_limits.MAX_PIXELS = 1_000_000  # as in fuzz_images.py

# Those of docs/data.md, but `unreadable`: nothing here is kept from being read.
UNSAFE = "unsafe_name"
OF_ENTRIES = {UNSAFE, "unusable_label", "conflicting_labels"}
OF_IMAGES = {
    *("empty_file", "truncated", "damaged", "not_an_image", "unsupported_format", "too_large"),
}
OF_PLACES = {"missing_file", "not_a_file"}

NAMES = [
    *("a.png", "b.jpg", "sub/c.png", "fuzzed", "other", "copy.png", "link.png", "nowhere", "loop"),
    *("./a.png", "sub//c.png", "sub/./c.png", "A.PNG", "a.png/", "a.png/x", "sub", "sub/", "."),
    *("missing.png", "../a.png", "/a.png", "sub/../a.png", "..\\a.png", "", "x" * 300, "y/" * 99),
    *("a\0b", "\ud800", "e\u0301", "\u00e9", ".hidden", "pipe"),
]
LABELS: list[Any] = ["cat", "Cat", " cat", "dog", 1, "1", 2, -0, 10**30, "", " ", None, 1.5, [], {}]

ROOT = memory_folder()
DATA = DataSettings(
    ROOT, "train", "query_images", "gallery", "train_image_info.json", "test_image_info.json"
)


def lay_out() -> None:
    """The part of the data folder that stays: real images, links, folders, a named pipe."""
    jpeg, png = images()[0], images()[3]
    for split in SPLITS:
        folder = DATA.folder(split)
        (folder / "sub").mkdir(parents=True)
        for name, content in (("a.png", png), ("copy.png", png), ("b.jpg", jpeg)):
            (folder / name).write_bytes(content)
        (folder / "sub" / "c.png").write_bytes(png + split.encode())
        (folder / ".hidden").write_bytes(png)
        (folder / "nowhere").symlink_to("is not there")
        (folder / "loop").symlink_to("loop")
        os.mkfifo(folder / "pipe")
    (DATA.folder("gallery") / "link.png").symlink_to(DATA.folder("query") / "a.png")
    (DATA.folder("query") / "\u00e9").write_bytes(jpeg)
    (DATA.folder("query") / "link.png").symlink_to(DATA.folder("train"))


def one_input(content: bytes) -> None:
    """Raises where the manifest breaks a promise, or anything but LookalikeError comes out."""
    provider = atheris.FuzzedDataProvider(content)
    for path in (DATA.train_labels_path, DATA.test_labels_path):
        path.write_bytes(_label_file(provider))
    for split in SPLITS:
        (DATA.folder(split) / "fuzzed").write_bytes(provider.ConsumeBytes(200))
    stray = _file_of_a_fuzzed_name(provider)
    (DATA.folder("query") / "other").write_bytes(provider.ConsumeBytes(sys.maxsize))
    try:
        tables, report = build_manifest(DATA, cache=None, threads=1)
    except LookalikeError as error:
        str(error).encode()
        return
    finally:
        if stray is not None:
            Path(os.fsdecode(stray)).unlink()
    _check_names(tables)
    for split in SPLITS:
        assert tables[split].schema.equals(SCHEMA), split
        for row in tables[split].to_pylist():
            _check_row(DATA.folder(split), row)
        counted = report["splits"][split]
        assert counted["entries"] == tables[split].num_rows, split
        assert counted["ok"] == tables[split]["status"].to_pylist().count("ok"), split
    json.dumps(report, ensure_ascii=False).encode()
    summary(report).encode()


def _label_file(provider: Any) -> bytes:
    kind = provider.ConsumeIntInRange(0, 7)
    if kind == 0:
        return bytes(provider.ConsumeBytes(provider.ConsumeIntInRange(0, 400)))
    if kind == 1:
        return LABEL_FILES[provider.ConsumeIntInRange(0, len(LABEL_FILES) - 1)]
    pairs = []  # as text, so that a name can be there twice
    for _ in range(provider.ConsumeIntInRange(1, 12)):
        name = NAMES[provider.ConsumeIntInRange(0, len(NAMES) - 1)]
        if provider.ConsumeIntInRange(0, 9) == 0:
            name = provider.ConsumeUnicode(12)
        label = LABELS[provider.ConsumeIntInRange(0, len(LABELS) - 1)]
        if provider.ConsumeIntInRange(0, 9) == 0:
            label = provider.ConsumeUnicode(6)
        pairs.append(f"{json.dumps(name)}: {json.dumps(label)}")
    return f"{{{', '.join(pairs)}}}".encode()


def _file_of_a_fuzzed_name(provider: Any) -> bytes | None:
    """A file in the query folder whose name may be no text at all."""
    name = bytes(provider.ConsumeBytes(provider.ConsumeIntInRange(0, 20)))
    path = os.fsencode(DATA.folder("query")) + b"/" + name.translate(None, b"\0/")
    with contextlib.suppress(OSError), open(path, "xb"):  # noqa: PTH123 - a path of bytes
        return path
    return None


def _check_names(tables: Any) -> None:
    """A row per entry, sorted; a test entry in each folder that has it, or in the gallery.

    Which folder has it is asked of the files themselves.
    """
    expected: dict[str, list[str]] = {
        "train": [entry.name for entry in read_labels(DATA.train_labels_path).entries],
        "query": [],
        "gallery": [],
    }
    for entry in read_labels(DATA.test_labels_path).entries:
        there = [
            split
            for split in ("query", "gallery")
            if entry.status != UNSAFE and os.path.lexists(f"{DATA.folder(split)}/{entry.name}")
        ]
        for split in there or ["gallery"]:
            expected[split].append(entry.name)
    for split in SPLITS:
        names = tables[split]["image_id"].to_pylist()
        assert names == sorted(expected[split]), f"{split} has other rows than entries"
        safe = [row["image_id"] for row in tables[split].to_pylist() if row["status"] != UNSAFE]
        assert len(set(safe)) == len(safe), f"{split} has a name twice"


def _check_row(folder: Path, row: dict[str, Any]) -> None:
    status, place = row["status"], folder / row["image_id"]
    assert (status == "ok") == (row["detail"] is None), row
    assert row["label"] is not None or status in OF_ENTRIES, row
    assert row["label"] is None or row["label"].strip(), row
    if status == "ok":
        assert row["width"] > 0 and row["height"] > 0 and row["format"] in decoding.FORMATS, row
    else:
        assert row["width"] is None and row["height"] is None and row["format"] is None, row
    if status == "ok" or status in OF_IMAGES:
        content = place.read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest(), row
        assert row["n_bytes"] == len(content), row
        return
    assert row["sha256"] is None and row["n_bytes"] is None, row
    if status == "missing_file":
        assert not os.path.isfile(f"{folder}/{row['image_id']}"), row  # noqa: PTH113
    elif status == "not_a_file":
        assert place.exists() and not place.is_file(), row
    else:
        # A link to itself leads nowhere, and is the one file here that cannot be read.
        assert status in OF_ENTRIES or (status == "unreadable" and place.is_symlink()), row


def seeds() -> list[bytes]:
    """Bytes that drive the data provider to every kind of label file, with images behind."""
    steps = [bytes((start + step * n) % 256 for n in range(160)) for start, step in STEPS]
    return [step + image[:600] for step in steps for image in images()[::3]]


STEPS = ((0, 0), (0, 1), (7, 3), (40, 5), (90, 7), (200, 11), (255, 13))

if __name__ == "__main__":
    lay_out()
    fuzz(one_input, seeds())
