"""What the page says of the search side, read back from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from lookalike.report.runs import SHOWN
from lookalike.report.search_side import HUBS_SHOWN
from lookalike.steps.hubness import write_hubness
from lookalike.storage.files import read_json, write_json
from support.html_reader import Node, parse
from support.report_folder import LABELS, RUNS, Made, make_folder

STATES = ["trained", "untrained", "whitened", "reranked"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The untrained state stands in for the files of two others."""
    counts = [14, 14, 14, 14, 2], [4, 3, 2, 5]
    made = make_folder(
        tmp_path_factory.mktemp("report"),
        dict(zip(LABELS, counts[0], strict=True)),
        dict(zip(LABELS[:4], counts[1], strict=True)),
        RUNS[:1],
    )
    run = made.root / "results" / "default.0"
    for name in ("whitened", "reranked"):
        shutil.copytree(run / "untrained", run / name)
    write_json(run / "whitened" / "search.json", {"dim": 7, "bytes_per_image": 28})
    for folder in (run, *(run / name for name in STATES[1:])):
        write_hubness(
            folder / "rankings.parquet", folder / "metrics.json", folder / "hubness.json", 5
        )
    return made


def section(page: Node) -> list[Node]:
    return [
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == "search"
    ]


def test_states_stand_with_their_cost_change_and_skew(made: Made) -> None:
    (found,) = section(parse(made.write(RUNS[:1], states=STATES, hubness=True)))
    head, body = found.one("thead"), found.one("tbody").all("tr")
    assert [cell.text for cell in head.all("th")] == [
        *("State", "Numbers", "Bytes an image", "mAP@10", "Change", "Skew", "Never found"),
    ]
    comparison = pd.read_csv(made.root / "results" / "comparison.csv")
    values = dict(zip(comparison["state"], comparison["mAP@10"].astype(float), strict=True))
    for row, state in zip(body, STATES, strict=True):
        cells = [row.one("th").text, *(cell.text for cell in row.all("td"))]
        value, change = values[state], values[state] - values["trained"]
        folder = "" if state == "trained" else state
        hubness = read_json(made.root / "results" / "default.0" / folder / "hubness.json")
        assert cells == [
            state,
            *(("7", "28") if state == "whitened" else ("–", "–")),
            f"{value:.3f}",
            "–" if state == "trained" else f"{change:+.3f}".replace("-", "−"),
            f"{hubness['skew']:.2f}",
            f"{hubness['never_found']:.1%}",
        ]
    rankings = made.table("rankings.parquet")
    counts = rankings[rankings["rank"] <= 5]["gallery_id"].value_counts()
    shown = [item.all("span", "place")[0].text for item in found.all("li")]
    assert shown == [str(count) for count in counts.tolist()[:HUBS_SHOWN]]
    assert len(found.all("svg", "thumb")) == HUBS_SHOWN


def test_hubness_may_be_asked_for_alone_or_not_at_all(made: Made) -> None:
    (alone,) = section(parse(made.write(RUNS[:1], hubness=True)))
    assert len(alone.one("tbody").all("tr")) == 2
    (without,) = section(parse(made.write(RUNS[:1], states=STATES)))
    assert "Skew" not in without.text
    assert not without.all("ul")
    page = parse(made.write(RUNS[:1]))
    assert not section(page)
    assert "Search side" not in page.text


def test_every_state_has_a_mark_of_its_own(made: Made) -> None:
    run = made.root / "results" / "default.0"
    others = [state.name for state in SHOWN if state.folder not in ("", *STATES)]
    for name in others:
        shutil.copytree(run / "whitened", run / name)
    page = made.write(RUNS[:1], states=[state.name for state in SHOWN])
    said = page[page.index("In each chart:") : page.index("upright bar")]
    marks = [part.split(",")[0].strip() for part in said.split(":")[1].split(";")[:-1]]
    assert len(marks) == len(set(marks)) == len(SHOWN)
    for name in others:
        shutil.rmtree(run / name)


def test_a_damaged_note_of_costs_is_named(made: Made, tmp_path: Path) -> None:
    copy = Made(shutil.copytree(made.root, tmp_path / "copy"))
    note = copy.root / "results" / "default.0" / "whitened" / "search.json"
    note.write_text("{}")
    with pytest.raises(Exception, match=r"search\.json"):
        copy.write(RUNS[:1], states=STATES)
