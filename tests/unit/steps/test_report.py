"""The report page, read back as HTML and held against the files it was made from."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookalike.report import svg as charts
from lookalike.report.glossary import explain
from lookalike.report.numbers import number as as_shown
from lookalike.report.templating import breakable
from lookalike.report.thumbnails import SIDE, Thumbnails
from lookalike.retrieval.metrics import metrics_at
from lookalike.storage.files import write_parquet
from support.html_reader import Node, parse
from support.project import ROOT
from support.report_folder import EVIL, LABELS, REPORT, RUNS, TEMPLATES, Made, make_folder, make_run

NEAR = [
    {
        "splits": ["train", "gallery"],
        "images": 7,
        "of_another_label": 1,
        "first": [
            {"train": "0_0<b>&.png", "gallery": "1_0<b>&.png", "bits": 0},
            {"train": "0_1<b>&.png", "gallery": "3_0<b>&.png", "bits": 3},
        ],
    }
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_folder(
        tmp_path_factory.mktemp("report"),
        dict(zip(LABELS, [14, 14, 14, 14, 2], strict=True)),
        dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)),
        near=NEAR,
    )


@pytest.fixture(scope="module")
def text(made: Made) -> str:
    return made.write()


@pytest.fixture(scope="module")
def page(text: str) -> Node:
    return parse(text)


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )


def called(recipe: str, seed: int) -> str:
    """What the page calls one of RUNS: of `other` there is one seed."""
    return recipe if recipe == "other" else f"{recipe}.{seed}"


def shown_queries(page: Node) -> list[tuple[Node, Node]]:
    """Each query's element, with the list it is in."""
    return [
        (query, each) for each in page.all("ol", "queries") for query in each.all("li", "query")
    ]


def test_it_needs_nothing_from_outside_and_runs_nothing(page: Node, text: str) -> None:
    every = [node for tag in tags(page) for node in page.all(tag)]
    for node in every:
        assert not any(name.startswith("on") for name in node.attributes)
        for name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
            target = node.attributes.get(name, "#")
            allowed = target.startswith("#") or (
                target.startswith("data:image/") if node.tag == "image" else False
            )
            assert allowed or (node.tag == "a" and target == "https://example.org/licence")
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & tags(page)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def tags(node: Node) -> set[str]:
    return {node.tag, *(tag for child in node.children for tag in tags(child))} - {"", "#text"}


def test_the_content_security_policy_allows_inline_style_and_embedded_images_only(
    page: Node,
) -> None:
    policy = next(
        node.attributes["content"]
        for node in page.all("meta")
        if node.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    # A policy governs only what comes after it.
    head = [node.attributes for node in page.one("head").all("meta")]
    assert [next(iter(attributes)) for attributes in head[:2]] == ["charset", "http-equiv"]


def test_names_labels_and_settings_are_text(page: Node, text: str) -> None:
    assert "<script" not in text
    assert "0_0<b>" not in text
    assert page.one("h1").text == f"Title of {EVIL}"
    assert page.one("title").text.endswith(f" – Title of {EVIL}")
    assert EVIL in section(page, "queries").text
    assert EVIL in section(page, "classes").text
    assert f"LEAKAGE of {EVIL}" in section(page, "data").text
    assert f"Licence {EVIL}: https://example.org/licence" in page.one("footer").text


def test_warnings_stand_before_the_numbers(page: Node, text: str) -> None:
    assert f"LEAKAGE of {EVIL}" in section(page, "alarm").text
    assert "a note on the data" not in section(page, "alarm").text
    assert text.index('id="alarm"') < text.index('id="numbers"')


def test_every_image_has_a_name_and_every_id_is_there_once(page: Node) -> None:
    nodes = [node for tag in tags(page) for node in page.all(tag)]
    ids = Counter(node.attributes["id"] for node in nodes if "id" in node.attributes)
    assert max(ids.values()) == 1
    for svg in page.all("svg"):
        if svg.attributes.get("aria-hidden") != "true":
            assert svg.attributes["role"] == "img"
            assert svg.attributes["aria-label"].strip()
    for node in [*page.all("use"), *page.all("a")]:
        target = node.attributes.get("xlink:href", node.attributes.get("href", ""))
        assert target[1:] in ids or target.startswith("https:")
    for node in nodes:
        assert node.attributes.get("aria-labelledby", "numbers") in ids
        for reference in re.findall(r"url\(#([^)]+)\)", " ".join(node.attributes.values())):
            assert reference in ids


def test_headings_go_down_one_level_at_a_time(page: Node, text: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert page.one("html").attributes["lang"] == "en"
    assert len(page.all("main")) == 1


def test_tables_have_captions_scopes_and_can_be_scrolled_by_keyboard(page: Node) -> None:
    tables = page.all("table")
    assert len(tables) > 10
    for table in tables:
        assert table.one("caption").text.strip()
        assert all("scope" in heading.attributes for heading in table.all("th"))
        width = sum(int(h.attributes.get("colspan", 1)) for h in table.one("thead").all("th"))
        for row in table.one("tbody").all("tr"):
            cells = [cell for cell in row.children if cell.tag in ("td", "th")]
            assert len(cells) in (width, width - 1)
    for region in page.all("div", "scroll"):
        assert region.attributes["tabindex"] == "0"
        assert region.attributes["role"] == "region"


def test_each_run_shows_value_interval_chance_and_untrained(page: Node, made: Made) -> None:
    body = section(page, "numbers").all("table")[1].one("tbody")
    rows = [" ".join(row.text.split()) for row in body.all("tr")]
    for place, (recipe, seed, _) in enumerate(RUNS):
        folder = made.root / "results" / f"{recipe}.{seed}"
        trained = json.loads((folder / "metrics.json").read_text())
        untrained = json.loads((folder / "untrained" / "metrics.json").read_text())
        shown = rows[3 * place : 3 * place + 3]
        assert shown[0].startswith(f"{called(recipe, seed)}trained")
        for content, row in ((trained, shown[0]), (untrained, shown[1])):
            low, high = content["ci95"]["mAP@10"]
            assert f"{content['metrics']['mAP@10']:.3f} {low:.3f} to {high:.3f}" in row
            low, high = content["ci95"]["mean_rank"]
            assert f"{content['metrics']['mean_rank']:.1f} {low:.1f} to {high:.1f}" in row
        assert f"{trained['chance']['mAP@10']:.3f}" in shown[2]


def test_the_run_that_is_shown_first_has_the_cards_and_skipped_queries_are_said(
    page: Node, made: Made
) -> None:
    cards = {card.one("h3").text: card for card in page.all("li", "card")}
    assert list(cards) == ["mAP@1", "CMC@10", "mAP@10", "mean rank"]
    content = json.loads((made.root / "results" / "default.0" / "metrics.json").read_text())
    for name, card in cards.items():
        key = name.replace(" ", "_")
        numbers = [content["metrics"][key], *content["ci95"][key]]
        shown = [as_shown(key, value) for value in numbers]
        assert card.one("p", "value").text == shown[0]
        assert card.one("p", "interval").text == f"95 % interval {shown[1]} to {shown[2]}"
        assert explain(key) in card.text
    assert "2 further queries have no gallery image" in page.one("header").text


def test_exactly_the_relevant_hits_are_marked_right(page: Node, made: Made) -> None:
    rankings = made.table("rankings.parquet")
    truth = {
        query: group.sort_values("rank").head(10) for query, group in rankings.groupby("query_id")
    }
    queries = shown_queries(page)
    assert len(queries) == 30 + 14 + 6
    for query, _ in queries:
        name = query.one("div", "asked").one("svg").attributes["aria-label"]
        expected = truth[name]
        hits = [hit for hit in query.one("ol", "found").children if hit.tag == "li"]
        assert [hit.one("svg").attributes["aria-label"] for hit in hits] == expected[
            "gallery_id"
        ].tolist()
        relevant = expected["relevant"].tolist()
        assert ["right" in hit.classes for hit in hits] == relevant
        assert ["✓" in hit.text for hit in hits] == relevant
        assert ["✗" not in hit.text for hit in hits] == relevant
        assert [hit.one("span", "unseen").text == "right" for hit in hits] == relevant


def test_promise_and_outcome_stand_side_by_side(page: Node, made: Made) -> None:
    part = section(page, "answers")
    rows = part.all("table")[0].one("tbody").all("tr")
    assert len(rows) == len(RUNS)
    for row, (recipe, seed, _) in zip(rows, RUNS, strict=True):
        path = made.root / "results" / f"{recipe}.{seed}" / "threshold.json"
        found = json.loads(path.read_text())
        cells = [" ".join(cell.text.split()) for cell in row.children if cell.tag in ("td", "th")]
        ((kind, rate),) = found["promise"].items()
        assert cells[:2] == [called(recipe, seed), f"{kind.replace('_', ' ')} {rate:g}"]
        if found["score"] is None:
            assert cells[2:] == ["none", *["–"] * 5]
            assert found["reason"] in " ".join(part.text.split())
            continue
        assert cells[2] == f"{found['score']:.4f}"
        assert cells[3].startswith(f"{found['outcome'][kind]:.3f}")
        rates = [found["at_score"][key] for key in ("coverage", "precision", "FPIR", "FNIR")]
        assert cells[4:] == [f"{rate:.3f}" for rate in rates]
    assert {row.one("th").text for row in rows if "none" in row.text} == {"other"}
    charts = part.all("svg", "chart")
    assert [chart.attributes["aria-label"].partition(".")[0] for chart in charts] == [
        "Precision by coverage",
        "FNIR by FPIR",
        "ROC of pairs",
    ]


def test_rates_of_pairs_stand_with_the_numbers_of_pairs(page: Node, made: Made) -> None:
    part = section(page, "answers")
    table = part.all("table")[1]
    rates = ["0.1", "0.01", "0.001", "0.0001"]
    headings = [cell.text for cell in table.one("thead").all("th")]
    assert headings[3:] == ["EER", *(f"TMR at FMR {rate}" for rate in rates)]
    stated = 0
    for row, (recipe, seed, _) in zip(table.one("tbody").all("tr"), RUNS, strict=True):
        path = made.root / "results" / f"{recipe}.{seed}" / "metrics.json"
        found = json.loads(path.read_text())["verification"]
        cells = [cell.text.strip() for cell in row.children if cell.tag in ("td", "th")]
        counts = [f"{found[key]:,}" for key in ("n_relevant_pairs", "n_other_pairs")]
        assert cells[:3] == [called(recipe, seed), *counts]
        eer = found["EER"]
        assert cells[3].split()[0] == ("–" if eer is None else f"{eer['value']:.3f}")
        for cell, rate in zip(cells[4:], rates, strict=True):
            at = found["TMR_at_FMR"].get(rate)
            if at is None:
                assert cell == "–"
                continue
            stated += 1
            low, high = f"{at['TMR']:.3f}", f"{at['TMR_at_most']:.3f}"
            assert cell.split() == ([low] if low == high else [low, low, "to", high])
        for rate, why in found["left_out"].items():
            assert rate in part.text
            assert why in part.text
    assert stated > 0


@pytest.mark.parametrize(
    ("chosen_by", "said"),
    [
        ("queries", "chosen by one half of the classes and measured on the other, it came to"),
        ("held_out", "chosen by training images of held-out classes and measured on all queries,"),
    ],
)
def test_what_chose_the_threshold_is_said(tmp_path: Path, chosen_by: str, said: str) -> None:
    counts = dict(zip(LABELS, [14, 14, 14, 14, 6], strict=True))
    runs = [("default", 0, 0.7)]
    made = make_folder(tmp_path, counts, dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)), runs)
    path = tmp_path / "results" / "default.0" / "threshold.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"from": chosen_by}))
    text = " ".join(section(parse(made.write(runs)), "answers").text.split())
    assert said in text


@pytest.mark.parametrize("promise", ["precision", "false_positive"])
def test_wrong_answers_are_those_accepted_with_the_highest_scores(
    tmp_path: Path, promise: str
) -> None:
    counts = dict(zip(LABELS, [14, 14, 14, 14, 6], strict=True))
    noisy = [("default" if promise == "precision" else "other", 0, 0.7)]
    made = make_folder(tmp_path, counts, dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)), noisy)
    part = section(parse(made.write(noisy)), "answers")
    run = f"{noisy[0][0]}.0"
    rankings = made.table("rankings.parquet", run)
    per_query = made.table("per_query.parquet", run)
    labels = dict(zip(per_query["query_id"], per_query["label"], strict=True))
    score = json.loads((tmp_path / "results" / run / "threshold.json").read_text())["score"]
    assert (score is None) == (promise == "false_positive")
    wrong = rankings[(rankings["rank"] == 1) & ~rankings["relevant"]]
    if score is not None:
        wrong = wrong[wrong["score"] >= score]
    wrong = wrong.sort_values(["score", "query_id"], ascending=[False, True])[:10]
    assert len(wrong) > 3
    shown = part.one("ol", "wrong").all("li")
    assert len(shown) == len(wrong)
    for item, row in zip(shown, wrong.itertuples(), strict=True):
        assert [code.text for code in item.all("code")] == [row.query_id, row.gallery_id]
        assert f"score {row.score:.4f}" in " ".join(item.text.split())
        assert ("there is no right image" in item.text) == (labels[str(row.query_id)] == "rare")
        assert len(item.all("svg", "thumb")) == 2
    heading = "accepted" if score is not None else "believed first"
    assert heading in part.one("h3").text


def test_six_queries_stand_under_the_cards_then_the_hardest_then_a_sample_that_repeats_none(
    page: Node, made: Made, text: str
) -> None:
    per_query = made.table("per_query.parquet").set_index("query_id")
    drawn, unfolded, folded, sampled = (
        [
            query.one("div", "asked").one("svg").attributes["aria-label"]
            for query in each.all("li", "query")
        ]
        for each in page.all("ol", "queries")
    )
    assert [len(names) for names in (drawn, sampled)] == [6, 14]
    assert unfolded == [name for name in unfolded if name not in folded]
    # Of the first of each class none is folded, as far as eight go.
    labels = per_query["label"].astype(str)
    hard = sorted(
        [*unfolded, *folded],
        key=lambda name: (per_query["mAP@10"][name], -per_query["first_rank"][name], name),
    )
    firsts = {labels[name]: name for name in reversed(hard)}
    assert unfolded == sorted(firsts.values(), key=hard.index)[:8]
    assert folded == [name for name in hard if name not in unfolded]
    values = [
        (per_query.loc[name, "mAP@10"], -float(per_query["first_rank"][name])) for name in hard
    ]
    assert values == sorted(values)
    rest = per_query[per_query["scored"]].drop(hard)
    assert rest["mAP@10"].min() >= values[-1][0]
    assert len(hard) == 30
    assert not {*hard, *drawn} & set(sampled)
    by_hash = per_query[per_query["scored"]].index
    assert drawn == sorted(by_hash, key=lambda name: hashlib.sha256(name.encode()).digest())[:6]
    order = [each.attributes.get("aria-labelledby") for each in page.all("ol", "queries")]
    assert order == ["drawn", "hardest", None, "sampled"]
    assert text.index('class="cards"') < text.index('id="drawn"') < text.index("<table")


def test_a_class_leads_to_the_first_of_its_queries_that_is_shown(page: Node, made: Made) -> None:
    per_query = made.table("per_query.parquet")
    labels = dict(zip(per_query["query_id"], per_query["label"], strict=True))
    first: dict[str, str] = {}
    for query, _ in shown_queries(page):
        name = query.one("div", "asked").one("svg").attributes["aria-label"]
        first.setdefault(labels[name], f"#{query.attributes['id']}")
    headings = section(page, "classes").one("tbody").all("th")
    links = {cell.text: cell.all("a") for cell in headings}
    assert len(first) == len(links) == 4
    for heading, found in links.items():
        label = next(label for label in LABELS if heading in (label, json.dumps(label)))
        assert [link.attributes["href"] for link in found] == [first[label]]


def test_what_classes_find_is_said_in_a_sentence(page: Node, made: Made) -> None:
    per_query = made.table("per_query.parquet").set_index("query_id")
    per_query = per_query[per_query["scored"]]
    rankings = made.table("rankings.parquet")
    right = rankings[rankings["relevant"] & (rankings["rank"] <= 10)]["query_id"].value_counts()
    shares = []
    for _, queries in per_query.groupby("label"):
        possible = sum(min(count, 10) for count in queries["n_relevant"])
        shares.append(100 * sum(right.get(name, 0) for name in queries.index) / possible)
    (words,) = (
        text.text.strip()
        for text in section(page, "classes").all("p")
        if "the median class finds" in text.text
    )
    found = re.findall(r"finds ([\d.]+) of each 100", words)
    assert [float(value) for value in found] == [pytest.approx(np.median(shares), abs=0.51)]
    assert words.startswith("Each of the 4 classes finds something in the first 10 places;")


def test_labels_are_cut_by_what_all_begin_with_and_whole_for_a_pointer(tmp_path: Path) -> None:
    counts = {f"n0000{number}-{label}": 3 for number, label in enumerate(["plain", "odd", "rare"])}
    made = make_folder(tmp_path, dict.fromkeys(LABELS[:3], 3), dict.fromkeys(LABELS[:3], 3))
    renamed = dict(zip(LABELS, counts, strict=False))
    for split in ("query", "gallery"):
        path = tmp_path / "results" / f"{split}.parquet"
        table = pd.read_parquet(path)
        table["label"] = table["label"].map(renamed)
        write_parquet(path, pa.Table.from_pandas(table, preserve_index=False))
    page = parse(made.write())
    labels = [label for each in page.all("ol", "found") for label in each.all("span", "label")]
    assert {label.text for label in labels} == {"plain", "odd", "rare"}
    titles = {span.attributes["title"] for label in labels for span in label.all("span")[1:]}
    assert titles == {*counts}


def test_each_distinct_image_is_embedded_once_small_and_over_the_background(
    page: Node, made: Made
) -> None:
    uris = [image.attributes["href"] for image in page.all("image")]
    assert len(set(uris)) == len(uris)
    names = {svg.attributes["aria-label"] for svg in page.one("main").all("svg", "thumb")}
    shown = {
        (part, picture.attributes["aria-label"])
        for query, _ in shown_queries(page)
        for part in ("asked", "found")
        for picture in query.one("div" if part == "asked" else "ol", part).all("svg", "thumb")
    }
    shown |= {
        (part, picture.attributes["aria-label"])
        for tag, part in (("div", "asked"), ("ol", "found"))
        for place in section(page, "changes").all(tag, part)
        for picture in place.all("svg", "thumb")
    }
    for wrong in page.one("ol", "wrong").all("li"):
        asked, found = (svg.attributes["aria-label"] for svg in wrong.all("svg", "thumb"))
        shown |= {("asked", asked), ("found", found)}
    assert len(shown) >= len(names)
    assert len(uris) == len(shown)
    for uri in uris:
        head, data = uri.split(",")
        assert head == "data:image/webp;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.mode == "RGB"
        assert max(image.size) <= SIDE


def test_pages_of_equal_input_are_equal(made: Made, text: str) -> None:
    assert made.write() == text


def test_the_pages_files_may_lie_anywhere(made: Made, text: str, tmp_path: Path) -> None:
    """An imported workflow's are put where Snakemake likes, one by one."""
    scattered = {}
    for number, (name, path) in enumerate(TEMPLATES.items()):
        scattered[name] = tmp_path / str(number) / "file"
        scattered[name].parent.mkdir()
        shutil.copy(path, scattered[name])
    assert made.write(templates=scattered) == text


def test_no_line_of_the_pages_files_is_too_long_to_read() -> None:
    assert len(TEMPLATES) >= 10
    for name, path in TEMPLATES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert max(map(len, lines)) <= 160, name
        assert len(lines) <= 350, name


def test_paired_differences_and_seeds_are_shown(page: Node) -> None:
    numbers = section(page, "numbers")
    compared = [row.one("th").text for row in numbers.all("table")[2].one("tbody").all("tr")]
    assert compared == [
        "default.0: trained − untrained",
        "default.1: trained − untrained",
        "default (mean of 2 seeds): trained − untrained",
        "other: trained − untrained",
    ]
    recipes = numbers.all("table")[3].one("tbody").all("tr")
    assert [row.one("th").text for row in recipes] == ["other − default (mean of 2 seeds)"]
    seeds = numbers.all("table")[4].one("tbody").all("tr")
    assert [row.one("th").text for row in seeds] == ["default"]


def test_settings_that_differ_between_recipes_come_first_and_are_marked(page: Node) -> None:
    table = next(t for t in section(page, "setup").all("table") if "Setting" in t.one("thead").text)
    rows = [[cell.text for cell in row.children if cell.tag != "#text"] for row in table.all("tr")]
    assert rows[:2] == [
        ["Setting", "default", "other", "Differs"],
        ["model.normalize", "True", "False", "differs"],
    ]
    assert ["epochs", "4", "4", ""] in rows[2:]
    assert not any("differs" in row for row in rows[2:])
    # A name goes on in the next line after its dots and underscores, and nowhere else.
    (name,) = [code for code in table.all("code") if code.text == "model.normalize"]
    assert [part.text or part.tag for part in name.children] == ["model.", "wbr", "normalize"]
    assert breakable("a_b.c__<d>") == "a_<wbr>b.<wbr>c__<wbr>&lt;d&gt;"


def test_one_run_makes_a_page_without_comparisons_between_runs(made: Made) -> None:
    page = parse(made.write(RUNS[:1]))
    numbers = section(page, "numbers")
    assert len(numbers.all("table")) == 3
    assert not page.all("ul", "legend")
    assert not page.one("header").text.count("runs")


def test_a_network_that_did_not_learn_is_a_warning(made: Made, tmp_path: Path) -> None:
    folder = made.root / "results" / "flat.0"
    queries = pa.Table.from_pandas(pd.read_parquet(made.root / "results" / "query.parquet"))
    gallery = pa.Table.from_pandas(pd.read_parquet(made.root / "results" / "gallery.parquet"))
    make_run(folder, queries, gallery, 3.0, "default")
    page = parse(made.write([("flat", 0, 3.0)]))
    assert "Training is not shown to have helped flat:" in section(page, "alarm").text
    helped = parse(made.write(RUNS[:1]))
    assert "not shown to have helped" not in section(helped, "alarm").text


def test_an_image_that_is_gone_leaves_a_blank_and_a_warning(made: Made, page: Node) -> None:
    name = page.one("ol", "found").one("svg").attributes["aria-label"]
    path = made.root / "gallery" / name
    content = path.read_bytes()
    path.unlink()
    try:
        without = parse(made.write())
    finally:
        path.write_bytes(content)
    blanks = [
        svg.attributes["aria-label"]
        for svg in without.all("svg", "thumb")
        if svg.one("use").attributes["href"] == "#blank"
    ]
    assert set(blanks) == {name}
    assert "1 image shown here" in section(without, "alarm").text


def test_near_duplicates_are_shown_side_by_side(page: Node, made: Made) -> None:
    data = section(page, "data")
    (pairs,) = data.all("ul", "pairs")
    shown = [
        (
            [use.attributes["href"] for use in pair.all("use")],
            [name.text for name in pair.all("code")],
            "(other label)" in pair.text,
        )
        for pair in pairs.all("li")
    ]
    assert [names for _, names, _ in shown] == [
        [f"train/{pair['train']}", f"gallery/{pair['gallery']}"]
        for pair in cast(list[dict[str, str]], NEAR[0]["first"])
    ]
    # The second gallery image is of another class than the training images.
    assert [other for *_, other in shown] == [True, False]
    assert len({use for uses, *_ in shown for use in uses}) == 4
    assert "#blank" not in {use for uses, *_ in shown for use in uses}
    assert "7 images of the gallery set look like one of the train set" in data.text
    assert "the 2 nearest" in data.text


def test_ties_are_shown_only_where_they_decide_something(made: Made) -> None:
    metrics = made.root / "results" / "default.0" / "metrics.json"
    before = metrics.read_text()
    content = json.loads(before)
    content["ties"] = {
        "share": 0.125,
        "optimistic": {"mAP@10": 0.75},
        "pessimistic": {"mAP@10": 0.25},
    }
    try:
        metrics.write_text(json.dumps(content))
        with_ties = made.write(RUNS[:1])
        content["ties"]["share"] = 0.0099
        metrics.write_text(json.dumps(content))
        without = made.write(RUNS[:1])
    finally:
        metrics.write_text(before)
    assert "12.5%" in with_ties
    assert "0.250 to 0.750" in with_ties
    assert 'id="ties"' not in without


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two `#rrggbb` colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_sufficient_in_light_and_dark(text: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    blocks = re.findall(r":root \{(.*?)\}", text, re.S)[:2]
    themes = [dict(re.findall(r"--([a-z0-9-]+): (#\w{6})", block)) for block in blocks]
    assert len(themes) == 2
    for theme in themes:
        for ground in ("page", "panel"):
            for ink in ("ink", "muted", "accent", "right", "alarm"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
            for number in range(1, charts.SERIES + 1):
                assert contrast(theme[f"series-{number}"], theme[ground]) >= 3
        assert contrast(theme["alarm"], theme["alarm-page"]) >= 4.5
        assert contrast(theme["ink"], theme["alarm-page"]) >= 4.5


def test_a_chart_is_a_named_picture_of_page_colours_with_real_text() -> None:
    line = charts.Curve(f"a {EVIL} $x$", 0, [(1, 0.5), (2, 0.25)])
    svg = str(charts.curves("c1", f"Loss of {EVIL}", [line]))
    root = parse(svg)
    picture = root.one("svg")
    assert picture.attributes["aria-label"] == f"Loss of {EVIL}"
    assert "epoch" in root.text
    assert "var(--series-1)" in svg
    assert not re.search(r"#0[123]0[01]\w{2}\b", svg)
    assert str(charts.curves("c1", f"Loss of {EVIL}", [line])) == svg
    row = charts.Versus(
        f"{EVIL} $x$", 1, [charts.Measured(0.5, 0.4, 0.6), charts.Measured(0.2)], 0.1
    )
    root = parse(str(charts.versus("c2", "words", [row])))
    assert f"{EVIL} $x$" in root.text


def test_the_twelfth_run_differs_from_all_before_in_colour_or_dash() -> None:
    styles = {(charts.colour_number(place), charts.dash_of(place)) for place in range(12)}
    assert len(styles) == 12


def test_every_metric_has_a_sentence() -> None:
    sentences = {key: explain(key) for key in metrics_at([1, 10])}
    assert all(sentence.endswith(".") and "{" not in sentence for sentence in sentences.values())
    assert explain("nonsense") == explain("nonsense@3") == ""


def test_thumbnails_lie_over_the_background_and_are_shared_by_content(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (300, 100), (0, 0, 0, 0)).save(clear)
    digest = hashlib.sha256(clear.read_bytes()).hexdigest()
    thumbnails = Thumbnails("white")
    first = thumbnails.of(clear, digest)
    assert first is not None
    assert thumbnails.of(tmp_path / "elsewhere.png", digest) is first
    assert thumbnails.made == [first]
    image = Image.open(io.BytesIO(base64.b64decode(first.uri.split(",")[1])))
    assert image.size == (first.width, first.height) == (96, 32)
    assert np.asarray(image).min() >= 250
    assert thumbnails.of(tmp_path / "elsewhere.png", "another") is None
    assert thumbnails.of(clear, "of what was scored") is None
    assert thumbnails.unreadable == 2


def test_without_intervals_the_page_shows_the_values_alone(tmp_path: Path) -> None:
    """`bootstrap: 0`: metrics.json has no interval, so neither has the page nor the comparison."""
    made = make_folder(
        tmp_path,
        dict(zip(LABELS[:4], [6, 6, 6, 6], strict=True)),
        dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)),
        bootstrap=0,
    )
    text = made.write()
    content = json.loads((tmp_path / "results" / "default.0" / "metrics.json").read_text())
    assert content["ci95"] == {}
    assert f"{content['metrics']['mAP@10']:.3f}" in text
    assert not re.search(r"\b(nan|None)\b", re.sub(r"<style.*?</style>", "", text, flags=re.S))
    rows = pd.read_parquet(tmp_path / "results" / "comparison.parquet")
    assert rows["mAP@10"].notna().all()
    assert rows[["mAP@10_low", "mAP@10_high"]].isna().all(axis=None)


def test_the_epoch_that_is_kept_is_marked(page: Node) -> None:
    tables = [t for t in page.all("table") if t.all("th") and t.all("th")[0].text == "epoch"]
    assert len(tables) == len(RUNS)
    for table in tables:
        place = [cell.text for cell in table.one("thead").all("th")].index("kept") - 1
        rows = table.one("tbody").all("tr")
        assert [row.all("td")[place].text for row in rows] == ["", "", "", "yes"]


def test_a_training_that_taught_nothing_is_warned_of(tmp_path: Path, made: Made) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    recipe, seed, _ = RUNS[1]
    place = root / "results" / f"{recipe}.{seed}" / "history.parquet"
    history = pq.read_table(place).to_pandas()
    history["zero_loss"] = 1.0
    write_parquet(place, pa.Table.from_pandas(history, preserve_index=False))
    lines = Made(root).write().splitlines()
    warned = [line for line in lines if "did not do what it is for" in line]
    assert len(warned) == 1
    assert f"The training of {recipe}.{seed} did not" in warned[0]
    assert "in every one of its 4 epochs, the loss was exactly 0 in every step" in warned[0]
    assert "did not do what it is for" not in made.write()


def test_every_section_is_named_by_the_page_and_by_the_rule() -> None:
    files = {path.name.partition(".")[0] for path in (REPORT / "sections").iterdir()}
    rule = (ROOT / "rules" / "report.smk").read_text(encoding="utf-8")
    named = re.search(r"^SECTIONS = \[(.*?)\]", rule, re.MULTILINE | re.DOTALL)
    page = (REPORT / "page.html.j2").read_text(encoding="utf-8")
    shown = re.search(r"set sections = \{(.*?)\}", page, re.DOTALL)
    assert named and shown
    assert files == set(re.findall(r'"(\w+)"', named[1]))
    assert files == set(re.findall(r'"(\w+)":', shown[1]))
