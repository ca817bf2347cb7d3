"""What a search leaves out and accepts is what the run's own files say."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lookalike.errors import LookalikeError
from lookalike.searching.answer_rule import USUAL_EXCLUDE, AnswerRule, answer_rule
from lookalike.searching.chosen_run import open_run, read_gallery_names
from lookalike.storage.files import write_parquet
from support.project import ROOT
from support.searched import Searched, make_searched, threshold


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


@pytest.fixture
def made(kept: Searched, tmp_path: Path) -> Searched:
    return kept.copy(tmp_path / "project")


def rule(made: Searched) -> AnswerRule:
    run = open_run(made.results)
    return answer_rule(run, read_gallery_names(run, made.results))


def test_without_metrics_the_default_of_the_settings_holds() -> None:
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert settings["metrics"]["exclude"] == USUAL_EXCLUDE


def without_metrics(made: Searched) -> None:
    (made.run / "metrics.json").unlink()


def test_where_labels_say_nothing_no_metrics_are_waited_for(made: Searched) -> None:
    report = made.results / "data_report.json"
    facts = json.loads(report.read_text())
    report.write_text(json.dumps(facts | {"labelled": False}))
    # Of a time when they did: such files no run would bring up to date.
    threshold(made.run, 0.5)
    metrics = json.loads((made.run / "metrics.json").read_text())
    metrics["settings"]["exclude"] = "none"
    (made.run / "metrics.json").write_text(json.dumps(metrics))
    assert rule(made) == AnswerRule("same_file", None)
    without_metrics(made)
    assert rule(made) == AnswerRule("same_file", None)


def test_a_run_handed_on_alone_has_the_usual_rule(made: Searched) -> None:
    without_metrics(made)
    with pytest.raises(
        LookalikeError, match=r"metrics\.json: there is no such file\. Run the work"
    ):
        rule(made)
    (made.results / "data_report.json").unlink()
    assert rule(made) == AnswerRule("same_file", None)


@pytest.mark.parametrize("exclude", ["none", "same_id", "same_content"])
def test_what_the_metrics_leave_out_is_left_out(made: Searched, exclude: str) -> None:
    metrics = json.loads((made.run / "metrics.json").read_text())
    metrics["settings"]["exclude"] = exclude
    (made.run / "metrics.json").write_text(json.dumps(metrics))
    assert rule(made).exclude == exclude


@pytest.mark.parametrize("score", [0.5, -3, 1, None])
def test_a_threshold_is_a_number_or_none(made: Searched, score: float | None) -> None:
    assert rule(made).threshold is None
    threshold(made.run, score)
    assert rule(made).threshold == score


@pytest.mark.parametrize("score", ["0.5", True, [0.5], float("nan")])
def test_another_threshold_is_damaged(made: Searched, score: object) -> None:
    threshold(made.run, score)
    with pytest.raises(LookalikeError, match=r"threshold\.json: is damaged"):
        rule(made)


# What is left from another model or gallery, or written by hand.
STALE = [
    ({"model_digest": "f" * 32}, "of model f+"),
    ({"gallery_digest": "e" * 32}, "of the gallery with digest e+"),
    ({"n_gallery": 5}, "a gallery of size 5, and .* a gallery of size 26"),
    ({"n_gallery": True}, "a gallery of size True"),
    ({"score": "euclidean"}, "the score euclidean, and .* the score cosine"),
    *(({key: None}, "nobody knows what") for key in ("model_digest", "gallery_digest")),
]


@pytest.mark.parametrize(("changes", "message"), STALE)
def test_metrics_and_threshold_of_something_else_are_refused(
    made: Searched, changes: dict[str, object], message: str
) -> None:
    threshold(made.run, 0.5)
    assert rule(made).threshold == 0.5
    for name, part in (("threshold.json", "on"), ("metrics.json", None)):
        path = made.run / name
        before = path.read_text()
        content = json.loads(before)
        content.update(changes if part is None else {part: content[part] | changes})
        path.write_text(json.dumps(content))
        with pytest.raises(LookalikeError, match=rf"{name}: is stale: .*{message}.* Run the work"):
            rule(made)
        path.write_text(before)
    assert rule(made).threshold == 0.5


def test_a_gallery_that_was_embedded_anew_leaves_them_stale(made: Searched) -> None:
    """As between `embed` and `threshold`: one image was relabelled since."""
    threshold(made.run, 0.5)
    for path in (
        made.results / "manifest/gallery.parquet",
        made.run / "embeddings/gallery.parquet",
    ):
        table = pq.read_table(path)
        labels = pa.array(["other", *table["label"].to_pylist()[1:]])
        write_parquet(
            path, table.set_column(table.schema.get_field_index("label"), "label", labels)
        )
    with pytest.raises(LookalikeError, match=r"metrics\.json: is stale"):
        rule(made)


@pytest.mark.parametrize("content", ["[1]", "[]", "3", "{}", '{"score": 0.5}', "{", "null"])
@pytest.mark.parametrize("name", ["threshold.json", "metrics.json", "../data_report.json"])
def test_what_a_damaged_file_should_hold_and_one_remedy_are_said(
    made: Searched, name: str, content: str
) -> None:
    threshold(made.run, 0.5)
    (made.run / name).write_text(content)
    with pytest.raises(LookalikeError) as error:
        rule(made)
    said = str(error.value)
    assert "is damaged" in said
    assert "with ." not in said
    assert said.count("Delete it") == 1
    assert said.endswith("Run the workflow again: it makes anew what is missing or stale")
    if content != "{":
        key = {"threshold.json": "promise", "metrics.json": "settings"}.get(name, "splits")
        assert f"it should be an object with {key}" in said
