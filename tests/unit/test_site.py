"""The pages as a site: built without a warning, whole, and asking nothing of other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.project import ROOT, copy_project

pytestmark = pytest.mark.slow

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md"]
PAGES += [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md"))]


def build(project: Path, to: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


class Reader(HTMLParser):
    """What a page loads, and the beginnings of its paragraphs."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.paragraphs: list[str] = []
        self._in_paragraph = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_paragraph = tag == "p"
        named = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "source", "object"):
            self.loaded += filter(None, [named.get("src"), named.get("href")])

    def handle_data(self, data: str) -> None:
        if self._in_paragraph:
            self.paragraphs.append(data)
        self._in_paragraph = False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def built(page: str) -> str:
    return re.sub(r"README\.md$", "index.html", page).replace(".md", ".html")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_with_all_of_its_tables_and_asks_nothing_of_other_hosts(
    site: Path, page: str
) -> None:
    reader = Reader()
    reader.feed((site / built(page)).read_text(encoding="utf-8"))
    assert reader.loaded
    assert [name for name in reader.loaded if "//" in name] == []
    # A table or a list that the builder does not take for one becomes a paragraph.
    assert [text for text in reader.paragraphs if re.match(r"\s*([|*]|- )", text)] == []
    for name in reader.loaded:
        assert ((site / built(page)).parent / name).exists(), name


def test_pictures_and_files_that_pages_lead_to_are_there(site: Path) -> None:
    for name in ("docs/demo.png", "docs/search.png", "config.yaml", "LICENSE"):
        assert (site / name).read_bytes() == (ROOT / name).read_bytes()
    assert not list(site.rglob("*.py*"))


BROKEN = [
    ("docs/data.md", "[a](nowhere.md)", "'nowhere.md'"),
    ("docs/stops.md", "[a](metrics.md#in-no-page)", "#in-no-page"),
    ("config/README.md", "[a](../docs/data.md#in-none-either)", "#in-none-either"),
    ("README.md", "[a](docs/nowhere-else.md)", "docs/nowhere-else.md"),
    ("docs/another.md", "# A page that is in no menu", "another.md"),
]


def test_a_link_that_leads_nowhere_fails(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    for page, text, _ in BROKEN:
        with (project / page).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{text}\n")
    done = build(project, tmp_path / "site")
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    for _, _, said in BROKEN:
        assert [line for line in warnings if said in line] or said in done.stderr, said
    assert len(warnings) == len(BROKEN), done.stderr
