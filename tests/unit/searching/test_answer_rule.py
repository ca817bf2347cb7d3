"""What a search leaves out and accepts is what the run's own files say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lookalike.errors import LookalikeError
from lookalike.searching.answer_rule import USUAL_EXCLUDE, AnswerRule, answer_rule
from lookalike.searching.chosen_run import open_run
from support.project import ROOT
from support.searched import Searched, make_searched, threshold


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


@pytest.fixture
def made(kept: Searched, tmp_path: Path) -> Searched:
    return kept.copy(tmp_path / "project")


def rule(made: Searched) -> AnswerRule:
    return answer_rule(open_run(made.results))


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
