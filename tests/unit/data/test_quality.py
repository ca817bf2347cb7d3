"""The data report against definitions spelt out image by image."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.findings import named, summary
from lookalike.data.spellings import nearly_equal_labels
from lookalike.text import quoted
from support.data_reports import (
    APART,
    CLEAN,
    LEAVE_ONE_OUT,
    SPLITS,
    Row,
    but,
    one_with,
    report_of,
    texts,
)


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
        known = [row for row in ok["query"] if row.label in classes["train"]]
        assert report["queries_of_training_classes"] == len(known)
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
