"""The pages in a browser, with names that are far too long: at any width, light and dark."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.searching.answers import AnswerSet
from lookalike.searching.page import write_page
from lookalike.storage.files import sha256_of_file
from support import report_folder
from support.browser import CHROMIUM, looked_at
from support.report_folder import EVIL, make_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]

LABELS = ["cat & dog", EVIL, 'quo"te', "W" * 180, "ك" * 90]
RECIPE = "a_recipe_whose_name_goes_on_" + "x" * 120
RUNS = [(RECIPE, 0, 0.5), (RECIPE, 1, 0.7), ("other", 0, 2.0)]
WIDTHS = [390, 768, 1200]

LOOK = """
document.querySelectorAll("details").forEach(each => each.open = true);
const edge = window.innerWidth + 1;
const boxOf = node => {
  const range = document.createRange(); range.selectNodeContents(node);
  return range.getBoundingClientRect();
};
const told = node => node.tagName + " " + node.textContent.trim().slice(0, 40);
const regions = [...document.querySelectorAll(".scroll")];
const rows = regions.flatMap(region => [...region.querySelectorAll("tbody tr")].map(
  row => [region.getBoundingClientRect(), row]));
const afterScrolling = regions.filter(region => region.scrollWidth > region.clientWidth + 60)
  .map(region => {
    region.scrollLeft = 50;
    const name = region.querySelector("tbody th:first-child");
    const stays = !name || name.getBoundingClientRect().left - region.getBoundingClientRect().left;
    region.scrollLeft = 0;
    return stays === true ? 0 : Math.round(stays);
  });
const nav = document.querySelector("nav");
const hidden = nav ? [...document.querySelectorAll("main h2[id], main h3[id]")].filter(heading => {
  heading.scrollIntoView({behavior: "instant"});
  const [bar, top] = [nav.getBoundingClientRect(), heading.getBoundingClientRect().top];
  return Math.abs(bar.top) > 1 || top < bar.bottom;
}) : [];
const height = nav ? nav.getBoundingClientRect().height : 0;
const thumb = document.querySelector(".thumb");
return {
  dark: window.matchMedia("(prefers-color-scheme: dark)").matches,
  width: document.documentElement.scrollWidth,
  beyond: [...document.querySelectorAll("body *")].filter(node =>
    node.getBoundingClientRect().right > edge && !node.closest(".scroll, nav ul")).map(told),
  rows: rows.length,
  values_out_of_sight: rows.filter(([box, row]) => {
    const cell = row.querySelector("td");
    return cell && cell.textContent.trim() && boxOf(cell).right > box.right + 1;
  }).map(([_, row]) => told(row)),
  after_scrolling: afterScrolling,
  broken_names: [...document.querySelectorAll("th code")].flatMap(code => [...code.childNodes])
    .filter(node => node.nodeType === 3).filter(node => {
      const range = document.createRange(); range.selectNodeContents(node);
      return range.getClientRects().length > 1;
    }).map(node => node.data),
  signs: regions.map(region => window.getComputedStyle(region).backgroundAttachment),
  hidden_headings: hidden.map(told),
  nav_height: height,
  bars: window.getComputedStyle(thumb).backgroundColor,
};
"""

AXE = """
document.querySelectorAll("details").forEach(each => each.open = true);
window.eval(%s);
const found = await window.axe.run(document);
return [found.passes.length, found.violations.map(
  broken => [broken.id, broken.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])];
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(report_folder, "LABELS", LABELS)
        made = make_folder(
            tmp_path_factory.mktemp("report"),
            dict.fromkeys(LABELS, 4),
            dict.fromkeys(LABELS, 2),
            RUNS,
        )
    text = made.write(RUNS, title="T" * 120, note="https://example.org/" + "y" * 300)
    names = text.replace("0_0&lt;b&gt;&amp;.png", "n" * 200)
    assert names != text
    return names


_OTHER_MODE = pytest.param(False, marks=pytest.mark.long)


@pytest.mark.parametrize("dark", [_OTHER_MODE, True])
def test_names_values_and_headings_are_in_sight_at_every_width(
    page: str, tmp_path: Path, dark: bool
) -> None:
    found = looked_at(page, LOOK, tmp_path, widths=WIDTHS, dark=dark)
    for width in WIDTHS:
        seen: dict[str, Any] = found[str(width)]
        assert seen["dark"] == dark
        assert seen["width"] == width
        assert seen["beyond"] == []
        assert seen["rows"] > 50
        assert seen["values_out_of_sight"] == []
        assert set(seen["after_scrolling"]) <= {0}
        assert seen["broken_names"] == []
        assert set(seen["signs"]) == {"local, scroll"}
        assert seen["hidden_headings"] == []
        assert 20 < seen["nav_height"] < 60
        # No white bars beside a picture on a dark page.
        assert (seen["bars"] == "rgb(255, 255, 255)") != dark
    assert found["390"]["after_scrolling"]


@pytest.mark.parametrize(
    ("width", "dark"), [(390, False), pytest.param(1200, True, marks=pytest.mark.long)]
)
def test_the_rules_of_axe_are_kept(page: str, tmp_path: Path, width: int, dark: bool) -> None:
    axe = pytest.importorskip("axe_core_python", reason="there is no axe")
    source = (files(axe) / "axe.min.js").read_text(encoding="utf-8")
    found = looked_at(page, AXE % as_script(source), tmp_path, widths=[width], dark=dark)
    passed, broken = found[str(width)]
    assert broken == []
    assert passed > 20


@pytest.mark.parametrize("dark", [_OTHER_MODE, True])
def test_the_page_of_a_search_is_as_good(tmp_path: Path, dark: bool) -> None:
    """A query that is accepted and one that is refused; no picture of the gallery is there."""
    axe = pytest.importorskip("axe_core_python", reason="there is no axe")
    Image.new("RGB", (90, 20), "white").save(tmp_path / "query.png")
    picture = tmp_path / "query.png", sha256_of_file(tmp_path / "query.png")
    queries = ["q" * 200, "other.png"]
    answers = AnswerSet(
        queries,
        np.array([[0, 1], [1, 0]]),
        np.array([[0.75, 0.25], [0.5, 0.25]], np.float32),
        {"image_id": ["g" * 200, "b.png"], "label": LABELS[3:], "sha256": ["0" * 64] * 2},
        0.6,
    )
    run: Any = SimpleNamespace(name=RECIPE, places={}, model=None)
    write_page(tmp_path / "page.html", answers, run, dict.fromkeys(queries, picture))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    source = (files(axe) / "axe.min.js").read_text(encoding="utf-8")
    script = AXE.replace("return [", "return [document.documentElement.scrollWidth, ")
    found = looked_at(page, script % as_script(source), tmp_path, widths=[390], dark=dark)
    width, passed, broken = found["390"]
    assert broken == []
    assert passed > 10
    assert width == 390


def as_script(text: str) -> str:
    """A text as a literal in a script in a page."""
    return json.dumps(text).replace("<", "\\u003c")
