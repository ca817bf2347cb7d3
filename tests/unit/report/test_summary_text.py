"""Markdown and LaTeX of the table of recipes, read back by readers of others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexMacroNode, LatexWalker

from lookalike.report.summary_table import Cell, SummaryRow, SummaryTable
from lookalike.report.summary_text import as_latex, as_markdown, remarks_on

KEYS = ("mAP@10", "mean_rank")
# As the reader of LaTeX writes the signs by themselves.
ACCENTS = str.maketrans("ˆ˜", "^~")
# What a recipe, a state or the number of seeds may put into a name, and what it may not.
NAMES = st.text(st.sampled_from("aZ0_-. ,:()|\\*[]<>{}&%$#~^`−–é"), min_size=1, max_size=12).map(
    lambda name: f"x{name}x"
)


def table_of(names: list[str]) -> SummaryTable:
    cells = {"mAP@10": Cell(0.5, 0.25, 0.75), "mean_rank": Cell(1234.5)}
    rows = [SummaryRow(name, cells, Cell(-0.125, -0.25, 0.0625)) for name in names]
    before = (SummaryRow("untrained: a", {key: Cell(0.25) for key in KEYS}),)
    chance = (SummaryRow("chance", {key: Cell(0.125) for key in KEYS}),)
    return SummaryTable(KEYS, "mAP@10", tuple(rows), before, chance, True)


def expected(names: list[str]) -> list[list[str]]:
    numbers = ["0.500 (0.250 to 0.750)", "1,234.5", "−0.125 (−0.250 to +0.062)"]
    return [
        ["Recipe", "mAP@10", "mean rank", "gain in mAP@10"],
        *([name, *numbers] for name in names),
        ["untrained: a", "0.250", "0.2", "–"],
        ["chance", "0.125", "0.1", "–"],
    ]


def read_markdown(text: str) -> tuple[list[list[str]], list[str]]:
    """Rows of cells as they are seen, and the paragraphs."""
    rows: list[list[str]] = []
    paragraphs: list[str] = []
    into = None
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open", "paragraph_open"):
            into = token.type
        if token.type == "inline":
            # Marks that mean something would be tokens of their own.
            assert {child.type for child in token.children or ()} <= {"text"}, token.content
            seen = "".join(child.content for child in token.children or ())
            (paragraphs if into == "paragraph_open" else rows[-1]).append(seen)
    return rows, paragraphs


def read_latex(text: str) -> tuple[list[list[str]], list[str]]:
    """Rows of cells as they are seen, and the rules between them."""
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    (tabular,) = (node for node in nodes if isinstance(node, LatexEnvironmentNode))
    assert tabular.environmentname == "tabular"
    rows: list[list[list[object]]] = [[[]]]
    rules = []
    for node in tabular.nodelist:
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            rows.append([[]])
        elif isinstance(node, LatexMacroNode) and node.macroname.endswith("rule"):
            rules.append(node.macroname)
        elif getattr(node, "specials_chars", None) == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    as_seen = LatexNodes2Text(keep_comments=True, strict_latex_spaces=True, math_mode="text")
    read = [
        [as_seen.nodelist_to_text(cell).strip().translate(ACCENTS) for cell in row]
        for row in rows[:-1]
    ]
    return read, rules


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_markdown_shows_names_and_numbers_as_they_are(names: list[str]) -> None:
    rows, paragraphs = read_markdown(as_markdown(table_of(names), ["A *remark* | more."]))
    assert rows == expected(names)
    assert paragraphs == ["A *remark* | more."]


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_latex_shows_names_and_numbers_as_they_are(names: list[str]) -> None:
    text = as_latex(table_of(names), ["A remark of 5 %."])
    rows, rules = read_latex(text)
    # A minus sign is one of mathematics, which the reader shows as a hyphen.
    shown = [[cell.replace("−", "-") for cell in row] for row in expected(names)]
    assert [[cell.replace("−", "-") for cell in row] for row in rows] == shown
    assert rules == ["toprule", "midrule", "midrule", "midrule", "bottomrule"]
    assert text.isascii() == "".join(names).replace("−", "").replace("–", "").isascii()
    assert [line for line in text.splitlines() if line.startswith("%")] == [
        "% Needs \\usepackage{booktabs}.",
        "% A remark of 5 %.",
    ]


def test_a_table_without_gains_has_no_column_of_them() -> None:
    cells = {key: Cell(0.5) for key in KEYS}
    table = SummaryTable(KEYS, "mAP@10", (SummaryRow("a", cells),), (), (), False)
    rows, _ = read_markdown(as_markdown(table))
    assert rows == [["Recipe", "mAP@10", "mean rank"], ["a", "0.500", "0.5"]]
    assert re.search(r"\\begin\{tabular\}\{lrr\}", as_latex(table))


@pytest.mark.parametrize("no_interval", [None, "they are switched off"])
def test_remarks_say_what_intervals_and_means_are(no_interval: str | None) -> None:
    said = " ".join(remarks_on(table_of(["a"]), 1500, 20000, no_interval))
    assert "1,500 queries, each ranking 20,000 gallery images" in said
    assert "A mean over seeds describes these networks" in said
    assert ("they are switched off" in said) == (no_interval is not None)
    assert ("query by query" in said) == (no_interval is None)
