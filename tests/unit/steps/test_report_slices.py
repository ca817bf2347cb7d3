"""Slices on the report page, held against the files that it was made from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from support.html_reader import Node, parse
from support.report_folder import EVIL, LABELS, RUNS, Made, make_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_folder(
        tmp_path_factory.mktemp("report"),
        dict(zip(LABELS, [14, 14, 14, 14, 2], strict=True)),
        dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)),
    )


def known_of(made: Made) -> pd.DataFrame:
    """Every third query is by one camera, of a name that a page must escape."""
    ids = made.table("per_query.parquet")["query_id"].tolist()
    cameras = [[EVIL, "2", None][i % 3] for i in range(len(ids))]
    return pd.DataFrame({"image_id": ids, "camera": cameras, "source": ["web"] * len(ids)})


def section(page: Node) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == "slices"
    )


def test_every_slice_has_its_numbers_and_its_differences(made: Made) -> None:
    known = known_of(made)
    known.to_parquet(made.root / "known.parquet")
    text = made.write(slices=["camera", "source"], attributes=made.root / "known.parquet")
    assert EVIL not in text
    tables = section(parse(text)).all("table")
    assert len(tables) == 2
    rows = tables[0].all("tr")
    # Of `other` there is one seed.
    names = ["default.0", "default.1", "other"]
    scored = {
        name: made.table("per_query.parquet", f"{recipe}.{seed}").query("scored")
        for name, (recipe, seed, _) in zip(names, RUNS, strict=True)
    }
    for name in names:
        frame = scored[name].merge(known, left_on="query_id", right_on="image_id")
        means = frame.groupby("camera", dropna=False)["mAP@5"].agg(["mean", "count"])
        of_run = [row.text for row in rows if name in [cell.text for cell in row.all("th")]]
        assert len(of_run) == len(means)
        for value in means["mean"]:
            assert any(f"{value:.3f}" in each for each in of_run), (name, value)
        assert sizes_in(tables[0]) == sorted(means["count"], reverse=True)
    best, *others = names
    for other in others:
        assert sum(f"{best} − {other}" in row.text for row in rows) == 3
    assert "no value" in tables[0].text
    assert f"{scored[best]['mAP@5'].mean():.3f}" in tables[1].text
    assert sizes_in(tables[1]) == [len(scored[best])]


def sizes_in(table: Node) -> list[int]:
    """The number of queries of each slice."""
    return [int(cell.text) for cell in table.all("td") if "rowspan" in cell.attributes]


def test_without_slices_there_is_no_such_section(made: Made, tmp_path: Path) -> None:
    text = made.write()
    assert 'id="slices"' not in text
    assert 'href="#slices"' not in text


def test_the_page_says_by_which_attributes_queries_are_scored(tmp_path: Path) -> None:
    queries, gallery = dict.fromkeys(LABELS[:3], 4), dict.fromkeys(LABELS[:3], 3)
    runs = RUNS[:1]
    made = make_folder(tmp_path, queries, gallery, runs, same=["camera", EVIL], within=["category"])
    text = made.write(runs)
    lead = parse(text).one("p", "lead").text
    assert f"of its own class that have its camera and {EVIL}." in lead
    assert "It is ranked among those that have its category alone." in lead
    assert EVIL not in text
