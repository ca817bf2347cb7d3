"""Bad and odd inputs and what happens to each: the list behind tests and docs/data-quality.md.

The outcomes are those of hostile_images.py, which has the image files.
"""

from __future__ import annotations

import json
import os
import socket
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.hostile_images import NOTE, SKIP, USE, quarters, saved

NAMES = {
    "blanks": "two words.png",
    "quotes": 'it\'s "here".png',
    "a line break": "two\nlines.png",
    "a tab": "tab\t.png",
    "a leading dash": "-rf.png",
    "per cent signs": "100%s%d%.png",
    "commas and semicolons": "a,b;c.png",
    "HTML": "<img src=x onerror=alert(1)>.png",
    "shell characters": "$(touch pwned);`touch pwned`|& touch pwned.png",
    "a backslash": "back\\slash.png",
    "braces and stars, Snakemake's own": "{wildcard}*?[a].png",
    "a formula": "=1+1.png",
    "250 bytes": "n" * 246 + ".png",
    "terminal control characters": "\x1b[2J\x07.png",
    "a mark that turns the direction of writing": "\u202egnp.png",
    "a leading dot": ".hidden.png",
    "a blank at its end": "blank ",
    "letters of many scripts": "猫 кот قطة 🐈.png",
}
"""Legal names, by what is odd of them."""


@dataclass(frozen=True)
class Entry:
    """One key of a label file. file: whether there is one of that name."""

    what: str
    key: str
    label: Any
    outcome: str
    reason: str = ""
    file: bool = True


LONG = "L" * 5000
ENTRIES = (
    Entry("file that is not there", "gone.png", "a", SKIP, "missing_file", file=False),
    Entry(
        "path that leads out of the folder",
        "../train_image_info.json",
        "a",
        SKIP,
        "unsafe_name",
        file=False,
    ),
    Entry(
        "path that leads out and back in", "../train/jpeg.jpg", "a", SKIP, "unsafe_name", file=False
    ),
    Entry("absolute path", "/etc/hostname", "a", SKIP, "unsafe_name", file=False),
    Entry("Windows path", "C:\\pictures\\a.png", "a", SKIP, "unsafe_name", file=False),
    Entry("name with a NUL character", "nul\0.png", "a", SKIP, "unsafe_name", file=False),
    Entry("empty name", "", "a", SKIP, "unsafe_name", file=False),
    Entry("name of half a surrogate pair", "half\ud800.png", "a", SKIP, "unsafe_name", file=False),
    Entry("name of 300 bytes", "n" * 300, "a", SKIP, "missing_file", file=False),
    Entry("label true", "true.png", True, SKIP, "unusable_label"),
    Entry("label 1.5", "fraction.png", 1.5, SKIP, "unusable_label"),
    Entry("label null", "null.png", None, SKIP, "unusable_label"),
    Entry("label NaN", "nan.png", float("nan"), SKIP, "unusable_label"),
    Entry("label Infinity", "infinity.png", float("inf"), SKIP, "unusable_label"),
    Entry("empty label", "empty_label.png", "", SKIP, "unusable_label"),
    Entry("blank label", "blank_label.png", " \t", SKIP, "unusable_label"),
    Entry(
        "label of nothing that can be seen", "unseen.png", "\u3164\u200b", SKIP, "unusable_label"
    ),
    Entry("label of half a surrogate pair", "half_label.png", "\udfff", SKIP, "unusable_label"),
    Entry("list as label", "list.png", ["a"], SKIP, "unusable_label"),
    Entry("object as label", "object.png", {"a": 1}, SKIP, "unusable_label"),
    Entry("label of 5,000 characters", "long.png", LONG, USE),
    Entry("label that is a formula", "formula.png", '=HYPERLINK("http://x")', USE),
    Entry("label with a tag", "tag.png", "<script>alert(1)</script>", USE),
    Entry("label with a line break", "break.png", "two\nlines", USE),
    Entry("label of 40 digits", "digits.png", 10**39, USE),
)


@dataclass(frozen=True)
class WholeFile:
    """A label file that cannot be used as a whole. says: what the message must hold."""

    what: str
    content: bytes
    says: tuple[str, ...]


_GOOD = json.dumps({"a.png": "x", "b.png": "y"}, indent=1)
FILES = (
    WholeFile("empty file", b"", ("line 1", "column 1")),
    WholeFile("empty object", b"{}", ("empty object",)),
    WholeFile("list", b'["a.png", "b.png"]', ("a list",)),
    WholeFile("text", b'"a.png"', ("a single value",)),
    WholeFile("trailing comma", b'{"a.png": "x",\n "b.png": "y",\n}', ("line 3", "column 1")),
    WholeFile("truncated", _GOOD[:-9].encode(), ("line 3", "column")),
    WholeFile("UTF-16", _GOOD.encode("utf-16"), ("UTF-16", "save it as UTF-8")),
    WholeFile("UTF-16 without a mark", _GOOD.encode("utf-16-le"), ("UTF-16", "save it as UTF-8")),
    WholeFile(
        "Latin-1",
        '{"caf\xe9.png": "x"}'.encode("latin-1"),
        ("not UTF-8", "line 1", "save it as UTF-8"),
    ),
    WholeFile("100,000 levels deep", b'{"a.png":' * 100_000, ("nested too deeply",)),
    WholeFile("100,000 lists deep", b"[" * 100_000, ("nested too deeply",)),
    WholeFile("single quotes", b"{'a.png': 'x'}", ("line 1", "column 2")),
    WholeFile("CSV", b"file,label\na.png,x\n", ("line 1", "column 1")),
)


TRAIN = {"t0.png": "a", "t1.png": "a", "t2.png": "b", "t3.png": "b"}
TEST = {"q0.png": "x", "q1.png": "y", "g0.png": "x", "g1.png": "x", "g2.png": "y", "g3.png": "y"}


@dataclass(frozen=True)
class Labelling:
    """Label files that are well formed and leave nothing to work on.

    train, test: {name: label}; there are files t0..t3, q0..q1, g0..g3, all .png.
    """

    what: str
    says: str
    train: Mapping[str, Any] = field(default_factory=lambda: TRAIN)
    test: Mapping[str, Any] = field(default_factory=lambda: TEST)


LABELLINGS = (
    Labelling("one class", "training needs two classes", train=dict.fromkeys(TRAIN, "a")),
    Labelling(
        "every file missing", "no usable train image", train={f"no/{name}": 1 for name in TRAIN}
    ),
    Labelling(
        "every class has one image", "no pair of one class", train={name: name for name in TRAIN}
    ),
    Labelling(
        "every label 0.0, as pandas writes 0",
        "the label is 0.0; it must be text or a whole number",
        train=dict.fromkeys(TRAIN, 0.0),
    ),
    Labelling(
        "7 in the queries, 007 in the gallery",
        "differ in their spelling only",
        test={name: 7 if name[0] == "q" else "007" for name in TEST},
    ),
    Labelling("nested objects", "no usable train image", train={"train": TRAIN, "more": TRAIN}),
    Labelling(
        "no query has a match", "nothing to find", test={**TEST, "q0.png": "u", "q1.png": "v"}
    ),
    Labelling(
        "no entry in the query folder",
        "no usable query image",
        test={k: v for k, v in TEST.items() if k[0] == "g"},
    ),
    Labelling(
        "no entry in the gallery folder",
        "no usable gallery image",
        test={k: v for k, v in TEST.items() if k[0] == "q"},
    ),
)


def _bound_socket(path: Path) -> None:
    # A socket's path may be 108 bytes long; a test's folder is often longer.
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


@dataclass(frozen=True)
class Thing:
    """Something in a folder that is not plainly a file.

    make: puts it at a path; outcome, reason: as of `Entry`; says: what `detail` must hold.
    """

    what: str
    name: str
    make: Callable[[Path], object]
    outcome: str
    reason: str
    says: str = ""


def _mostly_holes(path: Path) -> None:
    path.write_bytes(saved(quarters(), "JPEG"))
    os.truncate(path, 600 * 2**20)


THINGS = (
    Thing(
        "JPEG with 600 MB of nothing behind it",
        "holes.jpg",
        _mostly_holes,
        SKIP,
        "too_large",
        "MB that are read",
    ),
    Thing("folder", "folder.png", Path.mkdir, SKIP, "not_a_file", "a folder"),
    Thing(
        "link that leads nowhere",
        "dangling.png",
        lambda path: path.symlink_to("nowhere"),
        SKIP,
        "missing_file",
        "a link",
    ),
    Thing(
        "link to itself",
        "loop.png",
        lambda path: path.symlink_to(path),
        SKIP,
        "unreadable",
        "symbolic links",
    ),
    Thing("named pipe (not opened)", "pipe.png", os.mkfifo, SKIP, "not_a_file", "a named pipe"),
    Thing("socket", "socket.png", _bound_socket, SKIP, "not_a_file", "a device or a socket"),
    Thing(
        "link to an endless device",
        "zero.png",
        lambda path: path.symlink_to("/dev/zero"),
        SKIP,
        "not_a_file",
        "a device",
    ),
    Thing("link within the folder", "link.png", lambda path: path.symlink_to("jpeg.jpg"), USE, ""),
)


class Data:
    """A small, sound data set on disk, whose pictures all look different, to be spoilt."""

    def __init__(self, root: Path) -> None:
        self.root, self.train, self.test = root, dict[str, Any](TRAIN), dict[str, Any](TEST)
        self.train_again: list[tuple[str, str]] = []  # keys that are there already
        for name in [*TRAIN, *TEST]:
            self.draw({"t": "train", "q": "query_images", "g": "gallery"}[name[0]], name)

    def draw(self, folder: str, name: str) -> None:
        """A picture unlike all others."""
        noise = np.random.default_rng([*f"{folder}/{name}".encode()]).integers(0, 256, (6, 6, 3))
        image = Image.fromarray(noise.astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(image, "PNG"))

    def copy(self, source: str, target: str, smaller: bool = False) -> None:
        """Copy an image file: byte for byte, or smaller and as JPEG."""
        content = (self.root / source).read_bytes()
        if smaller:
            image = Image.open(self.root / source).resize((40, 40))
            content = saved(image, "JPEG", quality=85)
        (self.root / target).write_bytes(content)

    @property
    def train_pairs(self) -> list[tuple[str, Any]]:
        """The pairs of the training labels, in the order of the file."""
        return [*self.train.items(), *self.train_again]

    def save(self) -> Path:
        """Write the label files; JSON spells any key and label."""
        pairs = [f"{json.dumps(key)}: {json.dumps(label)}" for key, label in self.train_pairs]
        (self.root / "train_image_info.json").write_text(f"{{{', '.join(pairs)}}}")
        (self.root / "test_image_info.json").write_text(json.dumps(self.test))
        return self.root


@dataclass(frozen=True)
class Noted:
    """Something odd of a data set.

    says: what a finding must hold; outcome: NOTE, or USE where there is nothing to say, or SKIP
    where an entry is left out; spoil: changes the data.
    """

    what: str
    says: str
    outcome: str
    spoil: Callable[[Data], None]


NOTED: list[Noted] = []


def _noted(
    what: str, says: str = "", outcome: str = NOTE
) -> Callable[[Callable[[Data], None]], Callable[[Data], None]]:
    def keep(spoil: Callable[[Data], None]) -> Callable[[Data], None]:
        NOTED.append(Noted(what, says, outcome, spoil))
        return spoil

    return keep


@_noted("labels that differ in case", 'Unicode form only count as different classes: "A" and')
def _case_of_labels(data: Data) -> None:
    data.train["t1.png"] = "A"


@_noted("labels that differ in blanks around them", 'as different classes: " b " and "b"')
def _blanks_of_labels(data: Data) -> None:
    data.train["t3.png"] = " b "


@_noted("labels 7 and 007", 'as different classes: "007" and "7"')
def _spelling_of_numbers(data: Data) -> None:
    for name, label in {"n0.png": 7, "n1.png": 7, "n2.png": "007", "n3.png": "007"}.items():
        data.draw("train", name)
        data.train[name] = label


@_noted("names that differ in case only", "may be one file on another computer")
def _case_of_names(data: Data) -> None:
    data.draw("train", "T0.PNG")
    data.train["T0.PNG"] = "a"


@_noted("names that differ in Unicode form only (NFC, NFD)", "may be one file on another computer")
def _forms_of_names(data: Data) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "café.png")
        data.draw("train", name)
        data.train[name] = "a"


@_noted("one name in query and in gallery, two pictures", outcome=USE)
def _one_name(data: Data) -> None:
    data.draw("query_images", "both.png")
    data.draw("gallery", "both.png")
    data.test["both.png"] = "x"


@_noted("files that no label names", "1 file in the gallery folder is in no label file")
def _unlisted(data: Data) -> None:
    data.draw("gallery", "more.png")


@_noted("files whose names are not UTF-8", "1 file in the train folder is in no label file")
def _no_utf8(data: Data) -> None:
    (data.root / "train" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")


@_noted("what systems leave (.DS_Store, ._a.jpg, Thumbs.db, desktop.ini, __MACOSX/)", outcome=USE)
def _litter(data: Data) -> None:
    for name in (".DS_Store", "._t0.png", "Thumbs.db", "desktop.ini", "__MACOSX/a", "@eaDir/a"):
        path = data.root / "train" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")


@_noted("a key given twice, with the same label", outcome=USE)
def _key_again(data: Data) -> None:
    data.train_again.append(("t0.png", "a"))


@_noted("a key given twice, with two labels", "conflicting_labels", SKIP)
def _key_of_two_labels(data: Data) -> None:
    data.draw("train", "twice.png")
    data.train["twice.png"] = "a"
    data.train_again.append(("twice.png", "b"))


@_noted("one image under two labels", "given under more than one label, byte for byte the same")
def _two_labels(data: Data) -> None:
    data.copy("train/t0.png", "train/t4.png")
    data.train["t4.png"] = "b"


@_noted(
    "a training image that is also in the gallery, byte for byte",
    "LEAKAGE: 1 image of the training set is also in the gallery set",
)
def _leakage(data: Data) -> None:
    data.copy("train/t0.png", "gallery/g0.png")


@_noted(
    "a training image that is also in the gallery, smaller and as JPEG",
    "1 image of the gallery set looks the same as one of the train set",
)
def _near_leakage(data: Data) -> None:
    data.copy("train/t0.png", "gallery/g0.png", smaller=True)


@_noted(
    "a query that is also in the gallery, smaller and as JPEG",
    "1 image of the gallery set looks the same as one of the query set",
)
def _near_query(data: Data) -> None:
    data.copy("query_images/q0.png", "gallery/g0.png", smaller=True)


@_noted("images of a few pixels", "less than 16 pixels wide or high, likely placeholders")
def _tiny(data: Data) -> None:
    (data.root / "train" / "t0.png").write_bytes(saved(Image.new("RGB", (1, 1)), "PNG"))


@_noted("links that leave the folder", "1 image is read through links that lead out")
def _link_out(data: Data) -> None:
    data.draw(".", "elsewhere.png")
    (data.root / "train" / "t0.png").unlink()
    (data.root / "train" / "t0.png").symlink_to(data.root / "elsewhere.png")
