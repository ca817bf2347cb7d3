"""Warnings of many runs are told together."""

from __future__ import annotations

from lookalike.data.findings import _near
from lookalike.report.page_warnings import ONE_BY_ONE, findings_below, told_together


def test_many_warnings_of_one_kind_are_told_by_the_first_with_the_others_names() -> None:
    few = [("untaught", f"a.{seed}", f"a.{seed} learnt nothing.") for seed in range(ONE_BY_ONE)]
    many = [("not raised", f"b.{seed}", f"b.{seed} is no higher.") for seed in range(400)]
    mixed = [warning for pair in zip(few, many, strict=False) for warning in pair]
    texts = told_together(mixed + many[ONE_BY_ONE:])
    assert texts[0] == few[0][2]
    assert [text for text in texts if "learnt" in text] == [text for _, _, text in few]
    (told,) = (text for text in texts if "no higher" in text)
    named = ", ".join(f"b.{seed}" for seed in range(1, ONE_BY_ONE))
    assert told == f"b.0 is no higher. The like holds of {named} and {400 - ONE_BY_ONE} more."
    # As many as are told one by one stay as they come.
    assert told_together(mixed) == [text for _, _, text in mixed]


def test_what_findings_call_the_report_is_below_on_the_page() -> None:
    """In the words that the data report really uses of pictures that look the same."""
    report = {
        "bits": 4,
        "across": [
            {
                "splits": ["query", "gallery"],
                "images": 2,
                "of_another_label": 1,
                "first": [{"query": "a.png", "gallery": "b.png", "bits": 0}],
            }
        ],
    }
    (text,) = _near({"near_duplicates": report}, labelled=True)
    (found,) = findings_below([{"level": "warning", "text": text}])
    assert "in the report" in text
    assert found == {"level": "warning", "text": text.replace("in the report", "below")}
    assert found["text"].endswith("their pictures are below.")
