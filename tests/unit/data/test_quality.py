"""The data report against definitions spelt out image by image, and the sentences it prints."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.config import read_yaml, resolve
from lookalike.data.findings import USUAL_BATCH, named, summary
from lookalike.data.links import resolved_files, same_files
from lookalike.data.manifest_table import SCHEMA, usable
from lookalike.data.quality import data_report, nearly_equal_labels
from lookalike.text import quoted
from support.project import ROOT

SPLITS = ("train", "query", "gallery")
APART = {split: Path("/images") / split for split in SPLITS}
LEAVE_ONE_OUT = {
    "train": Path("/images/train"),
    "query": Path("/images/test"),
    "gallery": Path("/images/x/../test"),
}


def _none() -> None:
    return None


class Row(NamedTuple):
    image_id: str
    label: str
    sha256: str
    status: str = "ok"


def report_of(
    rows: dict[str, list[Row]],
    folders: dict[str, Path] = APART,
    unlisted: dict[str, list[str]] | None = None,
    links: dict[str, list[str]] | None = None,
    looks: dict[str, dict[str, bytes | None]] | None = None,
    near_duplicates: int | Literal[False] = 4,
) -> dict[str, Any]:
    tables = {
        split: pa.Table.from_pylist([row._asdict() for row in sorted(rows.get(split, []))], SCHEMA)
        for split in SPLITS
    }
    names = {split: (unlisted or {}).get(split, []) for split in SPLITS}
    nothing: dict[str, dict[str, bytes | None]] = {split: defaultdict(_none) for split in SPLITS}
    located = {}
    for split, table in tables.items():
        ids = usable(table)["image_id"].to_pylist()
        located[split] = dict(zip(ids, resolved_files(folders[split], ids), strict=True))
    pairs = same_files(located["query"], located["gallery"])
    report = data_report(tables, names, pairs, links or {}, looks or nothing, near_duplicates)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    return report


def texts(report: dict[str, Any], level: str) -> list[str]:
    return [finding["text"] for finding in report["findings"] if finding["level"] == level]


def one_with(words: str, sentences: Iterable[str]) -> str:
    (found,) = [sentence for sentence in sentences if words in sentence]
    return found


CLEAN = {
    "train": [
        Row(f"t{n}", label, f"{n}") for n, label in enumerate(("cat", "cat", "dog", "dog"), 1)
    ],
    "query": [Row("q1", "cow", "5"), Row("q2", "hen", "6")],
    "gallery": [Row("g1", "cow", "7"), Row("g2", "hen", "8"), Row("g3", "hen", "9")],
}


def but(split: str, *rows: Row) -> dict[str, list[Row]]:
    """The clean data with more rows in one split."""
    return CLEAN | {split: CLEAN[split] + list(rows)}


def tables_of_rows(prefix: str) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(
        st.sampled_from(["cat", "dog", "cow"]),
        st.sampled_from("abcdef"),
        st.sampled_from(["ok", "ok", "ok", "truncated", "missing_file"]),
    )
    return st.lists(row, max_size=8).map(
        lambda drawn: [Row(f"{prefix}{number}", *rest) for number, rest in enumerate(drawn)]
    )


class TestCounts:
    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(tables_of_rows("t"), tables_of_rows("i"), tables_of_rows("i"), st.booleans())
    def test_every_count_by_its_definition(
        self, train: list[Row], query: list[Row], gallery: list[Row], leave_one_out: bool
    ) -> None:
        if leave_one_out:  # one file has one content and one label wherever it is met
            gallery = query + gallery[len(query) :]
        folders = LEAVE_ONE_OUT if leave_one_out else APART
        rows = {"train": train, "query": query, "gallery": gallery}
        report = report_of(rows, folders)
        ok = {split: [row for row in rows[split] if row.status == "ok"] for split in SPLITS}

        def same_file(a: Row, b: Row) -> bool:
            return leave_one_out and a.image_id == b.image_id

        for split in SPLITS:
            facts = report["splits"][split]
            assert (facts["entries"], facts["ok"]) == (len(rows[split]), len(ok[split]))
            labels = [row.label for row in ok[split]]
            assert facts["classes"] == len(set(labels))
            sizes = [labels.count(label) for label in set(labels)]
            if sizes:
                spread = [min(sizes), float(np.median(sizes)), max(sizes)]
                assert list(facts["images_per_class"].values()) == spread
            bad = [row.status for row in rows[split] if row.status != "ok"]
            reasons = {reason: found["count"] for reason, found in facts["reasons"].items()}
            assert reasons == {reason: bad.count(reason) for reason in bad}

            contents = [row.sha256 for row in ok[split]]
            twice = [content for content in contents if contents.count(content) > 1]
            within = report["duplicates"]["within"][split]
            assert (within["groups"], within["images"]) == (len(set(twice)), len(twice))

        across = {tuple(pair["splits"]): pair for pair in report["duplicates"]["across"]}
        for pair in combinations(SPLITS, 2):
            shared = {
                a.sha256
                for a in ok[pair[0]]
                for b in ok[pair[1]]
                if a.sha256 == b.sha256 and not (pair[0] == "query" and same_file(a, b))
            }
            assert (across[pair]["groups"] if pair in across else 0) == len(shared)
            if pair in across:
                assert across[pair]["leakage"] == (pair[0] == "train")

        classes = {split: {row.label for row in ok[split]} for split in SPLITS}
        shared_classes = classes["train"] & (classes["query"] | classes["gallery"])
        assert report["shared_classes"]["first"] == sorted(shared_classes)
        alone = [
            c for c in sorted(classes["train"]) if [r.label for r in ok["train"]].count(c) == 1
        ]
        assert report["classes_without_positive"]["first"] == alone
        lost = [
            q.image_id
            for q in ok["query"]
            if not any(g.label == q.label and not same_file(q, g) for g in ok["gallery"])
        ]
        assert report["queries_without_relevant"] == {"count": len(lost), "first": lost[:5]}
        others = [g.label for g in ok["gallery"] if g.label not in classes["query"]]
        assert report["distractors"] == {"images": len(others), "classes": len(set(others))}

    def test_only_the_first_names_are_given(self) -> None:
        rows = [Row(f"z{number}", "cat", "same") for number in range(9)]
        bad = [Row(f"b{number}", "cat", "x", "truncated") for number in range(9)]
        names = [f"u{number}" for number in range(9)]
        report = report_of(but("train", *rows, *bad), unlisted={"train": names})
        (group,) = report["duplicates"]["within"]["train"]["first"]
        assert group == ["z0", "z1", "z2", "z3", "z4"]
        facts = report["splits"]["train"]
        assert facts["reasons"]["truncated"] == {
            "count": 9,
            "first": ["b0", "b1", "b2", "b3", "b4"],
        }
        assert facts["unlisted_files"] == {"count": 9, "first": names[:5]}
        assert named(facts["unlisted_files"]) == "u0, u1, u2, u3, u4 and 4 more"

    def test_links_to_one_file_are_one_file(self, tmp_path: Path) -> None:
        folders = {split: tmp_path / split for split in SPLITS}
        for folder in folders.values():
            folder.mkdir()
        (folders["gallery"] / "g1").write_bytes(b"image")
        (folders["query"] / "link").symlink_to(folders["gallery"] / "g1")
        (folders["query"] / "copy").write_bytes(b"image")
        rows = {
            "query": [Row("link", "cow", "7"), Row("copy", "hen", "7")],
            "gallery": [Row("g1", "cow", "7"), Row("g2", "hen", "8")],
        }
        report = report_of(rows, folders)
        # The link's class has but the link's own file in the gallery; the copy's has another.
        assert report["queries_without_relevant"]["first"] == ["link"]
        assert one_with("1 of 2 queries is the same file", texts(report, "note"))
        assert report["duplicates"]["across"][0]["splits"] == ["query", "gallery"]
        del rows["query"][1]
        assert report_of(rows, folders)["duplicates"]["across"] == []


class TestFindings:
    def test_clean_data_gives_none(self) -> None:
        assert report_of(CLEAN)["findings"] == []

    def test_leakage_is_loud(self) -> None:
        rows = but("train", Row("t5", "cow", "5"), Row("t6", "hen", "8"))
        report = report_of(rows)
        assert texts(report, "warning")[0].startswith(
            "LEAKAGE: 1 image of the training set is also"
        )
        assert "train/t5 is query/q1" in texts(report, "warning")[0]
        assert "train/t6 is gallery/g2" in texts(report, "warning")[1]
        assert "warning: LEAKAGE" in summary(report)

    def test_leave_one_out_is_no_error(self) -> None:
        rows = CLEAN | {"query": CLEAN["gallery"] + [Row("g4", "cow", "10")]}
        rows["gallery"] = rows["query"]
        report = report_of(rows, LEAVE_ONE_OUT)
        assert texts(report, "warning") == []
        assert "4 of 4 queries are the same file" in one_with(
            "leave-one-out", texts(report, "note")
        )

    def test_a_copy_of_a_query_in_the_gallery(self) -> None:
        report = report_of(but("gallery", Row("g4", "cow", "5")))
        found = one_with("different files of equal bytes", texts(report, "warning"))
        assert "query/q1 and gallery/g4" in found
        assert "same_content" in found

    def test_one_content_under_two_labels(self) -> None:
        report = report_of(but("gallery", Row("g4", "cow", "4")))
        found = one_with("more than one label", texts(report, "warning"))
        assert 'train/t4 ("dog") and gallery/g4 ("cow")' in found

    def test_what_is_left_out(self) -> None:
        report = report_of(but("query", Row("q3", "cow", "", "truncated")))
        found = one_with("left out", texts(report, "warning"))
        assert found.startswith("1 of 3 entries of the query set is left out: 1 truncated (q3). ")
        assert "manifest/query.parquet" in found

    def test_queries_with_nothing_to_find(self) -> None:
        report = report_of(but("query", Row("q3", "owl", "10"), Row("q4", "elk", "11")))
        found = one_with("nothing to find", texts(report, "warning"))
        assert found.startswith("2 of 4 queries have no other image of the same class")
        assert found.endswith("q3, q4.")

    def test_a_gallery_of_one_class(self) -> None:
        rows = CLEAN | {"query": [Row("q1", "cow", "5")], "gallery": [Row("g1", "cow", "7")]}
        assert one_with("one class only", texts(report_of(rows), "warning"))

    def test_a_class_without_a_pair(self) -> None:
        report = report_of(but("train", Row("t5", "elk", "10")))
        found = one_with("no positive pair", texts(report, "warning"))
        assert found == "1 of 3 training classes has one usable image, so no positive pair: elk."

        found = one_with("only one of", texts(report, "note"))
        assert found.startswith("1 training image is the only one of its class. Class-balanced")
        report = report_of(but("train", Row("t5", "elk", "10"), Row("t6", "owl", "11")))
        found = one_with("only one of", texts(report, "note"))
        assert found.startswith("2 training images are the only one of their classes.")

    def test_classes_of_very_different_sizes(self) -> None:
        sizes = {"giant": 120, **{f"small {n}": 6 for n in range(20)}}
        rows = [
            Row(f"{label} {n}", label, f"{label} {n}")
            for label, size in sizes.items()
            for n in range(size)
        ]
        found = one_with("differ in size", texts(report_of(CLEAN | {"train": rows}), "note"))
        # 40 batches for the large class; 7 other places in each for 20 classes: 14 times 3 of 6.
        assert "a class of 120 once, and each of a class of 6 7 times, to fill 40 batches" in found
        # Where no image comes more than twice as often as another, there is nothing to say.
        twice = [row for row in rows if row.label != "giant" or int(row.image_id[6:]) < 12]
        assert not [
            text
            for text in texts(report_of(CLEAN | {"train": twice}), "note")
            if "differ in size" in text
        ]

    def test_the_default_batch_is_the_default(self) -> None:
        schema = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
        batch = resolve([], schema)["recipes"]["default"]["batch"]
        assert (batch["classes"], batch["images_per_class"]) == USUAL_BATCH
        assert batch["name"] == "balanced"

    def test_notes(self) -> None:
        rows = but(
            "gallery", Row("g4", "Cow ", "10"), Row("g5", "cat", "11"), Row("g6", "cat", "11")
        )
        report = report_of(rows, unlisted={"gallery": ["x.png"]})
        assert texts(report, "warning") == []
        notes = texts(report, "note")
        assert '"Cow " and "cow"' in one_with("differ in case, blanks", notes)
        assert "1 class is in both the training and the test sets: cat" in one_with("known", notes)
        assert "3 gallery images of 2 classes" in one_with("distractors", notes)
        assert "2 files of the gallery set hold only 1 different image: g5 = g6" in one_with(
            "hold only", notes
        )
        assert "1 file in the gallery folder is in no label file" in one_with("x.png", notes)

    def test_the_summary_has_a_line_for_each_split(self) -> None:
        lines = summary(report_of(CLEAN)).splitlines()
        assert lines == [
            "The data:",
            "  train: 4 entries, 4 ok, 2 classes of 2 to 2 images, median 2",
            "  query: 2 entries, 2 ok, 2 classes of 1 to 1 images, median 1",
            "  gallery: 3 entries, 3 ok, 2 classes of 1 to 2 images, median 1.5",
        ]


class TestNearDuplicates:
    # 8 bytes of a hash, then the colours: the second differs in 2 bits, the third in 30.
    VERIFIED = (
        bytes(8) + bytes(12),
        b"\x03" + bytes(7) + bytes(12),
        b"\xff\xff\xff\x3f" + bytes(4) + bytes(12),
    )

    def report(self, rows: dict[str, list[Row]], looks: dict[str, bytes | None]) -> Any:
        by_split = {
            split: {row.image_id: looks[row.image_id] for row in members}
            for split, members in rows.items()
        }
        return report_of(rows, looks=by_split)

    def test_each_copy_counts_and_the_nearest_pair_is_shown(self) -> None:
        rows = {
            "train": [Row("t1", "cat", "1"), Row("t2", "cat", "2")],
            "query": [Row("q1", "cow", "5")],
            "gallery": [Row("g1", "cat", "7"), Row("g2", "cow", "7"), Row("g3", "hen", "8")],
        }
        near, far, other = self.VERIFIED
        looks: dict[str, bytes | None] = {"t1": near, "t2": far, "q1": other, "g1": near}
        looks |= {"g2": near, "g3": other}
        report = self.report(rows, looks)
        # t1 and g1 have equal hashes and other bytes; t2 is 2 bits away from both.
        assert report["near_duplicates"] == {
            "bits": 4,
            "across": [
                {
                    "splits": ["train", "gallery"],
                    "images": 2,
                    "of_another_label": 0,
                    "first": [{"train": "t1", "gallery": "g1", "bits": 0}],
                },
                {
                    "splits": ["query", "gallery"],
                    "images": 1,
                    "of_another_label": 1,
                    "first": [{"query": "q1", "gallery": "g3", "bits": 0}],
                },
            ],
        }
        notes = texts(report, "note")
        assert "2 images of the gallery set look the same" in one_with("train/t1", notes)
        assert "(1 under another label)" in one_with("query/q1", notes)

    def test_not_looked_for_is_not_none_found(self) -> None:
        looks: dict[str, dict[str, bytes | None]] = {
            split: {row.image_id: self.VERIFIED[0] for row in CLEAN[split]} for split in SPLITS
        }
        found = report_of(CLEAN, looks=looks, near_duplicates=0)
        assert found["near_duplicates"]["bits"] == 0
        assert len(found["near_duplicates"]["across"]) == 3
        report = report_of(CLEAN, looks=looks, near_duplicates=False)
        assert report["near_duplicates"] == {"bits": None, "across": []}
        assert "not looked for" in one_with("near_duplicates: false", texts(report, "note"))
        assert "not looked for" in summary(report)

    def test_equal_bytes_and_blank_pictures_are_none(self) -> None:
        rows = but("gallery", Row("g4", "cow", "1"))
        looks = dict.fromkeys([row.image_id for members in rows.values() for row in members])
        assert self.report(rows, looks)["near_duplicates"]["across"] == []
        seen = self.report(rows, looks | {"t1": self.VERIFIED[0], "g4": self.VERIFIED[0]})
        assert seen["near_duplicates"]["across"] == []

    def test_a_placeholder_under_many_labels_is_named_shortly(self) -> None:
        rows = but("train", *(Row(f"x{n}", f"label {n}", "same") for n in range(3000)))
        sentence = one_with("under more than one label", texts(report_of(rows), "warning"))
        assert len(sentence) < 500
        assert "and 2,995 more" in sentence


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "007"),
        ("7", " 7"),
        ("7", "7.0"),
        ("7", "+7"),
        ("7", "7."),
        ("0", "-0.00"),
        (".5", "0.50"),
        ("-3", "-03"),
        ("7", "\u0667"),  # Arabic-Indic
        ("7", "\uff17"),  # full width
        ("Room 7", "room 07"),
        ("2024-01-05", "2024-1-5"),
        ("1" * 40, "0" + "1" * 40),
    ],
)
def test_spellings_of_a_number_are_noted(one: str, other: str) -> None:
    rows = but("train", Row("t8", one, "20"), Row("t9", other, "21"))
    found = one_with("spelling of a number", texts(report_of(rows), "note"))
    assert quoted(one) in found
    assert quoted(other) in found


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.decimals(-1000, 1000, places=2), min_size=2, max_size=5), st.data())
def test_numbers_are_told_apart_by_their_value(values: list[Decimal], data: st.DataObject) -> None:
    """Against Python's own reading of decimal numbers."""
    spelt = []
    for value in values:
        zeros, plus = data.draw(st.integers(0, 3)), data.draw(st.sampled_from(["", "+"]))
        whole, part = f"{abs(value):f}".split(".")
        part = data.draw(st.sampled_from([part, part.rstrip("0"), part + "0"]))
        text = "0" * zeros + whole + ("." + part if part else "")
        spelt.append(("-" if value < 0 else plus) + text)
    groups: dict[Decimal, set[str]] = defaultdict(set)
    for text in spelt:
        groups[Decimal(text)].add(text)
    found = nearly_equal_labels(spelt)
    expected = [sorted(group) for group in groups.values() if len(group) > 1]
    told = [" and ".join(map(quoted, group)) for group in expected]
    assert sorted(found) == sorted(told)


def test_other_numbers_are_other_labels() -> None:
    labels = ["1.05", "1.5", "10", "1", "100", "0.1", "0.01", "-1", "1-", "a10", "a1", "a100"]
    assert nearly_equal_labels(labels) == []
