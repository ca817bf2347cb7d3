"""The page read back as a browser would."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.searching.answers import AnswerSet
from lookalike.searching.chosen_run import open_run
from lookalike.searching.page import write_page
from lookalike.storage.files import sha256_of_file
from support.html_reader import Node, parse
from support.searched import Searched, make_searched

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def page_of(made: Searched, tmp_path: Path, threshold: float | None, **known: object) -> Node:
    """Two queries: the first finds two images, one of which is gone, the second finds one."""
    run = open_run(made.results)
    gallery = made.data / "gallery"
    ids = ["0010_001.png", "gone<b>.png", "0011_001.png"]
    hashes = [sha256_of_file(gallery / name) if name[0] == "0" else "0" * 64 for name in ids]
    answers = AnswerSet(
        [EVIL, "b.png"],
        np.array([[0, 1], [2, -1]]),
        np.array([[0.75, 0.25], [0.5, 0]], np.float32),
        {"image_id": ids, "label": ["ten", EVIL, "eleven"], "sha256": hashes},
        threshold,
    )
    pictures = {
        name: (path, sha256_of_file(path))
        for name, path in zip((EVIL, "b.png"), made.queries, strict=False)
    }
    answers = replace(answers, **known)  # type: ignore[arg-type]
    write_page(tmp_path / "page.html", answers, run, pictures)
    return parse((tmp_path / "page.html").read_text())


def test_each_image_stands_with_its_answers(kept: Searched, tmp_path: Path) -> None:
    page = page_of(kept, tmp_path, 0.6)
    first, second = page.all("li", "query")
    assert EVIL in first.one("strong").text
    assert page.all("script") == []
    hits = first.all("li")[1:]
    assert ["right" in hit.classes for hit in hits] == [True, False]
    assert "0.7500" in hits[0].text
    assert hits[0].one("span", "label").text == "ten"
    assert hits[1].one("span", "gone").text == "gone<b>.png"
    assert "In the gallery: ten" in first.one("p", "verdict").text
    refused = second.one("p", "refused").text
    assert "Not in the gallery" in refused
    assert "0.5000" in refused
    assert "0.6000" in refused
    assert first.all("p", "refused") == []
    header = page.one("header").text
    assert "1 of 2 is not in the gallery" in " ".join(header.split())
    assert "1 image is gone" in " ".join(header.split())


def test_an_image_of_the_gallery_is_not_said_to_be_missing(kept: Searched, tmp_path: Path) -> None:
    page = page_of(kept, tmp_path, 0.6, itself={1: ["x.png"]}, exclude="same_file")
    second = page.all("li", "query")[1]
    assert "The image itself is in the gallery as x.png, left out." in second.text
    assert "No other image reaches the threshold" in second.text
    page = page_of(kept, tmp_path, 0.6, of_gallery=True)
    assert "No other image reaches the threshold" in page.all("li", "query")[1].text
    assert "Another image reaches the threshold: ten" in page.all("li", "query")[0].text
    for seen in (page, page_of(kept, tmp_path, 0.6, itself={0: ["y"], 1: ["x"]})):
        assert seen.all("p", "refused") == []
        assert "In the gallery:" not in seen.one("main").text
    assert "0 of 2 are not in the gallery" in " ".join(seen.one("header").text.split())


def test_a_score_just_below_the_threshold_does_not_read_as_it(
    kept: Searched, tmp_path: Path
) -> None:
    page = page_of(kept, tmp_path, 0.50004, scores=np.array([[0.75, 0.5], [0.5, 0]], np.float32))
    refused = " ".join(page.one("p", "refused").text.split())
    assert "the best score, 0.50000, is below the threshold, 0.50004." in refused
    assert "from the score 0.50004 on" in " ".join(page.one("header").text.split())
    assert "0.75000" in page.one("main").text


def test_a_page_holds_no_more_pictures_than_a_browser_shows(
    kept: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most, n_queries, n_answers in ((10_000, 2, 2), (6, 2, 2), (5, 1, 2), (2, 1, 1)):
        monkeypatch.setattr("lookalike.searching.page.MOST_PICTURES", most)
        page = page_of(kept, tmp_path, 0.6)
        shown = page.all("li", "query")
        assert len(shown) == n_queries
        assert len(shown[0].all("li")) - 1 == n_answers
        assert len(page.all("symbol")) <= most
        said = " ".join(page.one("header").text.split())
        assert "2 images looked for" in said
        assert ("The first 1 of them stand here" in said) == (n_queries < 2)
        assert (f"{most:,} pictures at the most" in said) == (n_queries < 2)


def test_its_pictures_are_those_of_the_files(kept: Searched, tmp_path: Path) -> None:
    page = page_of(kept, tmp_path, 0.6)
    symbols = {symbol.attributes["id"]: symbol.one("image") for symbol in page.all("symbol")}
    assert len(symbols) == 4
    used = page.all("li", "query")[0].all("use")
    for use, path in zip(used, (kept.queries[0], kept.data / "gallery/0010_001.png"), strict=True):
        uri = symbols[use.attributes["href"].removeprefix("#")].attributes["href"]
        content = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
        with Image.open(io.BytesIO(content)) as shown, Image.open(path) as original:
            apart = np.asarray(shown.convert("RGB"), float) - np.asarray(original, float)
        assert np.abs(apart).mean() < 12


def test_without_a_threshold_nothing_is_accepted_or_refused(kept: Searched, tmp_path: Path) -> None:
    page = page_of(kept, tmp_path, None)
    assert page.all("p", "refused") == page.all("p", "verdict") == page.all("li", "right") == []
    assert "no threshold" in page.one("header").text


def test_nothing_is_loaded_from_elsewhere(kept: Searched, tmp_path: Path) -> None:
    page_of(kept, tmp_path, None)
    text = (tmp_path / "page.html").read_text()
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
