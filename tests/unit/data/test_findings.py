"""The sentences of the data report, each by data that give it."""

from __future__ import annotations

from lookalike.config import resolve
from lookalike.data.findings import USUAL_BATCH, summary
from lookalike.storage.yaml_files import read_yaml
from support.data_reports import (
    CLEAN,
    LEAVE_ONE_OUT,
    Row,
    but,
    one_with,
    report_of,
    texts,
)
from support.project import ROOT


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
        # 40 batches for the large class; 15 other places in each for 20 classes: 30 times 3 of 6.
        assert (
            "a class of 120 images once, and each of a class of 6 images 15 times, to fill 40 "
            "batches" in found
        )
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
