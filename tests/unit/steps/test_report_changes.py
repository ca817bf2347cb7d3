"""What the page, and the pages beside it, show of changes, held against the tables of both runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from lookalike.report.changes import Changed, Changes, MostChanged, most_changed, shown_anchors
from lookalike.report.classes import pictures_of
from lookalike.report.examples import Query
from lookalike.steps.report_changes import FIRST, FURTHER, ON_PAGE
from support.html_reader import Node, parse
from support.report_folder import LABELS, Made, make_folder

KEY = "mAP@10"
RUNS = [
    (recipe, seed, noise + seed)
    for recipe, noise in {"default": 1.0, "other": 0.6, "third": 2.0}.items()
    for seed in (0, 1)
]
PAGES = ["other.0", "third.0"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("changes")
    counts = dict(zip(LABELS, [14, 14, 14, 14, 2], strict=True))
    return make_folder(root, counts, dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)), RUNS)


def pages(made: Made) -> dict[str, Path]:
    return {run: made.root / "results" / "changes" / f"{run}.html" for run in PAGES}


@pytest.fixture(scope="module")
def page(made: Made) -> Node:
    return parse(made.write(RUNS, changes=pages(made)))


def section(page: Node) -> Node | None:
    named = (s for s in page.all("section") if s.attributes.get("aria-labelledby") == "changes")
    return next(named, None)


def changes_of(page: Node) -> Node:
    found = section(page)
    assert found is not None
    return found


def held(part: Node, made: Made, before: str, after: str, count: int) -> None:
    """See that lists of `part` are those of two runs, or of two states of one."""
    one, other = (made.table("per_query.parquet", name) for name in (before, after))
    ranked = [made.table("rankings.parquet", name) for name in (before, after)]
    values = [table.set_index("query_id")[KEY] for table in (one, other)]
    chosen = most_changed(one, other, KEY, count)
    lists = part.all("ol", "changed")
    assert len(lists) == bool(chosen.gained) + bool(chosen.lost)
    shown = [item for each in lists for item in each.children if item.tag == "li"]
    names = [item.one("div", "asked").one("svg").attributes["aria-label"] for item in shown]
    assert names == [*chosen.gained, *chosen.lost]
    for name, item in zip(names, shown, strict=True):
        told = " ".join(item.one("p").text.split())
        assert f"{KEY} from {values[0][name]:.3f} to {values[1][name]:.3f}" in told
        rows = item.all("ol", "found")
        assert len(rows) == 2
        for row, rankings in zip(rows, ranked, strict=True):
            expected = rankings[rankings["query_id"] == name].sort_values("rank").head(10)
            hits = [hit for hit in row.children if hit.tag == "li"]
            pictures = [hit.one("svg").attributes["aria-label"] for hit in hits]
            assert pictures == expected["gallery_id"].tolist()
            assert ["right" in hit.classes for hit in hits] == expected["relevant"].tolist()


def outside_of_folds(part: Node) -> Node:
    kept = [child for child in part.children if child.tag != "details"]
    return Node("section", {}, kept)


def test_the_next_best_run_stands_below_the_baseline_where_that_is_shown_first(
    page: Node, made: Made
) -> None:
    part = changes_of(page)
    first = outside_of_folds(part)
    held(first, made, "default.0", "other.0", FIRST)
    sides = {side.text for side in first.all("p", "side")}
    assert sides == {"default.0", "other.0"}
    text = " ".join(first.text.split())
    before, after = (made.table("per_query.parquet", run) for run in ("default.0", "other.0"))
    counts = most_changed(before, after, KEY, 0)
    assert min(counts.n_gained, counts.n_lost) > 0
    assert (
        f"From default.0 to other.0: of 56 queries, {counts.n_gained} gained in {KEY}, "
        f"{counts.n_lost} lost, and {counts.n_equal} stayed equal."
    ) in text
    assert "default.0 is the baseline; other.0 is the run that is shown first, the baseline" in text
    assert "Of a recipe with several seeds the first is taken" in text


def test_further_recipes_are_in_folds_and_every_recipe_has_a_page(page: Node, made: Made) -> None:
    fold, listed = (each for each in changes_of(page).children if each.tag == "details")
    held(fold, made, "default.0", "third.0", FURTHER)
    assert fold.one("summary").text.startswith("From default.0 to third.0: of 56 queries,")
    links = {link.text: link.attributes["href"] for link in listed.all("a")}
    assert links == {run: f"changes/{run}.html" for run in PAGES}
    for run in PAGES:
        beside = parse(pages(made)[run].read_text(encoding="utf-8"))
        held(beside.one("main"), made, "default.0", run, ON_PAGE)


def test_the_named_baseline_is_laid_beside_the_run_that_is_shown_first(made: Made) -> None:
    part = changes_of(parse(made.write(RUNS, baseline="third")))
    held(outside_of_folds(part), made, "third.0", "default.0", FIRST)
    text = " ".join(part.text.split())
    assert "third.0 is the baseline; default.0 is the run that is shown first. Of a" in text
    assert not part.all("a")


def test_of_one_recipe_it_is_what_training_changed(made: Made) -> None:
    for runs in (RUNS[:1], RUNS[:2]):
        part = changes_of(parse(made.write(runs)))
        assert part.one("h2").text == "What training changed"
        held(part, made, "default.0/untrained", "default.0", FIRST)
        assert {side.text for side in part.all("p", "side")} == {"untrained", "trained"}
        assert "baseline" not in part.text


def test_where_nothing_was_trained_and_there_is_one_run_nothing_changed(made: Made) -> None:
    embeddings = {"default": {"embeddings": {"query": "q.parquet", "gallery": "g.parquet"}}}
    page = parse(made.write(RUNS[:1], given=embeddings))
    assert section(page) is None
    assert "#changes" not in [link.attributes.get("href") for link in page.all("a")]


def test_equal_runs_have_no_list(made: Made) -> None:
    results = made.root / "results"
    for name in ("per_query.parquet", "rankings.parquet"):
        (results / "same.0").mkdir(exist_ok=True)
        (results / "same.0" / name).write_bytes((results / "default.0" / name).read_bytes())
    for name in ("metrics.json", "threshold.json", "history.parquet", "model.json", "untrained"):
        if not (results / "same.0" / name).exists():
            (results / "same.0" / name).symlink_to(results / "default.0" / name)
    part = changes_of(parse(made.write([*RUNS[:1], ("same", 0, 1.0)])))
    assert "0 gained in mAP@10, 0 lost, and 56 stayed equal" in " ".join(part.text.split())
    assert "No query has another mAP@10" in part.text
    assert not part.all("ol", "changed")


def ids_of(page: Node) -> Counter[str]:
    return Counter(
        node.attributes["id"]
        for tag in tags(page)
        for node in page.all(tag)
        if "id" in node.attributes
    )


def tags(node: Node) -> set[str]:
    return {node.tag, *(tag for child in node.children for tag in tags(child))} - {"", "#text"}


def attribute(page: Node, of: Mapping[str, str]) -> set[str]:
    return {
        node.attributes[name]
        for tag, name in of.items()
        for node in page.all(tag)
        if name in node.attributes
    }


def test_each_page_stands_alone_and_runs_nothing(page: Node, made: Made) -> None:
    assert max(ids_of(page).values()) == 1
    style = page.one("head").one("style")
    for path in pages(made).values():
        text = path.read_text(encoding="utf-8")
        beside = parse(text)
        assert beside.one("head").one("style").text == style.text
        policies = [
            node.attributes.get("content")
            for each in (page, beside)
            for node in each.one("head").all("meta")
            if node.attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 2
        assert policies[0] == policies[1]
        assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & tags(beside)
        assert "<script" not in text
        ids = ids_of(beside)
        assert max(ids.values()) == 1
        used = attribute(beside, {"use": "href", "a": "href", "li": "aria-labelledby"})
        outward = {target for target in used if not target.startswith("#")}
        assert outward == {"../report.html", "https://example.org/licence"}
        assert (path.parent / "../report.html").is_file()
        inward = {target[1:] for target in used - outward}
        assert inward <= ids.keys()
        # What is shown is carried, and nothing else.
        symbols = {node.attributes["id"] for node in beside.all("symbol")} - {"blank"}
        assert symbols == {target[1:] for target in attribute(beside, {"use": "href"})} - {"blank"}
        assert all(
            target.startswith("data:image/webp;base64,")
            for target in attribute(beside, {"image": "href"})
        )


def test_an_anchor_has_the_number_of_the_querys_row(page: Node, made: Made) -> None:
    """A stable one, which says nothing of names or labels."""
    per_query = made.table("per_query.parquet")
    items = [
        item
        for part in (changes_of(page), *page.all("ol", "queries"))
        for item in part.all("li", "query")
    ]
    assert len(items) > 50  # of both kinds
    for item in items:
        name = item.one("div", "asked").one("svg").attributes["aria-label"]
        found = re.fullmatch(r"(?:drawn|query|change[01]-)(\d+)", item.attributes["id"])
        assert found
        assert per_query["query_id"].iloc[int(found[1])] == name


def test_where_no_query_of_a_class_stands_alone_its_change_is_what_it_leads_to() -> None:
    query = Query("change0-7", "q", "cat", 0.0, 1, 1, 1, None, [])
    changed = Changed(query, query)
    counts = MostChanged(["q"], [], 1, 0, 0)
    shown = shown_anchors([Changes("a", "b", counts, [changed], [])])
    assert pictures_of([("query1", "dog"), *shown]) == {"dog": "query1", "cat": "change0-7"}
