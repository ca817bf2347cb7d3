"""The summary table as text to paste: Markdown and LaTeX, from one writer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookalike.report.numbers import number, signed
from lookalike.report.summary_table import Cell, SummaryRow, SummaryTable

# What a letter of a text would do otherwise. Outside mathematics LaTeX knows no minus sign.
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "–": "--{}",
    # Behind the end of a row they would belong to that.
    "[": "{[}",
    "*": "{*}",
}


@dataclass(frozen=True)
class _Format:
    """How a format writes what a table is made of.

    Attributes:
        text: a text without a meaning beyond itself.
        beside: an interval behind its number.
        line: a row of cells.
        begin: what stands before the head, by the number of columns.
        below_head: likewise between head and rows.
        between: what stands between two groups of rows.
        end: what stands after the last row.
        remark: a sentence on the table.
        remarks_first: whether remarks stand before the table.
    """

    text: Callable[[str], str]
    beside: str
    line: Callable[[Sequence[str]], str]
    begin: Callable[[int], Sequence[str]]
    below_head: Callable[[int], Sequence[str]]
    between: Sequence[str]
    end: Sequence[str]
    remark: Callable[[str], str]
    remarks_first: bool


def remarks_on(
    table: SummaryTable, n_queries: int, n_gallery: int, no_interval: str | None
) -> list[str]:
    """What is to be known of the table where it stands by itself, in sentences.

    Args:
        table: the table.
        n_queries: how many its numbers are of.
        n_gallery: how many images each of them ranked.
        no_interval: why there are no intervals; None where there are.
    """
    intervals = "Each number of one network stands with its 95 % interval."
    if no_interval is not None:
        intervals = f"Without 95 % intervals: {no_interval}."
    return [
        f"{n_queries:,} queries, each ranking {n_gallery:,} gallery images.",
        intervals,
        *remarks_on_rows(table, no_interval),
    ]


def remarks_on_rows(table: SummaryTable, no_interval: str | None) -> list[str]:
    """What means over seeds and gains are, as far as the table has them."""
    remarks = []
    if table.several_seeds:
        remarks.append(
            "A mean over seeds describes these networks"
            + ("." if no_interval else ": it has no interval in this table, but its gain has one.")
        )
    if any(row.gain for row in table.recipes):
        remarks.append(
            f"The gain in {table.gain_key} is over the same networks before training"
            + ("." if no_interval else ", query by query; an interval that holds 0 shows none.")
        )
        if no_interval is None and any(row.gain and row.gain.low is None for row in table.recipes):
            remarks.append(
                "What the search side adds has an interval over the trained network alone, among "
                "the page's differences."
            )
    return remarks


def as_markdown(table: SummaryTable, remarks: Sequence[str] = ()) -> str:
    """The table as GitHub's Markdown, its remarks below it, a paragraph each."""
    return _written(table, remarks, _MARKDOWN)


def as_latex(table: SummaryTable, remarks: Sequence[str] = ()) -> str:
    """The table as a LaTeX `tabular` of the package booktabs, its remarks above it as comments."""
    return _written(table, ["Needs \\usepackage{booktabs}.", *remarks], _LATEX_FORMAT)


def _written(table: SummaryTable, remarks: Sequence[str], form: _Format) -> str:
    head = ["Recipe", *(key.replace("_", " ") for key in table.keys)]
    with_gain = any(row.gain for row in table.recipes)
    if with_gain:
        head.append(f"gain in {table.gain_key.replace('_', ' ')}")
    lines = [*form.begin(len(head)), form.line([form.text(name) for name in head])]
    lines += form.below_head(len(head))
    for place, group in enumerate(table.groups):
        lines += form.between if place else ()
        lines += [form.line(_cells(row, table, with_gain, form)) for row in group]
    lines += form.end
    told = [form.remark(remark) for remark in remarks]
    return "\n".join([*told, *lines] if form.remarks_first else [*lines, *told]) + "\n"


def _cells(row: SummaryRow, table: SummaryTable, with_gain: bool, form: _Format) -> list[str]:
    cells = [form.text(row.name)]
    cells += [_cell(number, key, row.cells[key], form) for key in table.keys]
    if with_gain:
        cells.append(_cell(signed, table.gain_key, row.gain, form) if row.gain else form.text("–"))
    return cells


def _cell(as_text: Callable[[str, float], str], key: str, cell: Cell, form: _Format) -> str:
    text = form.text(as_text(key, cell.value))
    if cell.low is None or cell.high is None:
        return text
    interval = f"({as_text(key, cell.low)} to {as_text(key, cell.high)})"
    return f"{text} {form.beside.format(form.text(interval))}"


def _in_markdown(text: str) -> str:
    """Each mark that may mean something in Markdown has a backslash before it."""
    return re.sub(r"([\\`*_\[\]<>|~&#$])", r"\\\1", text)


def _in_latex(text: str) -> str:
    # Of two hyphens it would make a dash, of three a longer one.
    hyphens = re.split("(-)(?=[-–])", text)
    return "".join(
        "-{}" if place % 2 else "".join(_LATEX.get(letter, letter) for letter in part)
        for place, part in enumerate(hyphens)
    )


_MARKDOWN = _Format(
    text=_in_markdown,
    beside="{}",
    line=lambda cells: f"| {' | '.join(cells)} |",
    begin=lambda columns: (),
    below_head=lambda columns: [f"| --- |{' ---: |' * (columns - 1)}"],
    between=(),
    end=(),
    remark=lambda sentence: f"\n{_in_markdown(sentence)}",
    remarks_first=False,
)
_LATEX_FORMAT = _Format(
    text=_in_latex,
    beside=r"{{\scriptsize {}}}",
    line=lambda cells: rf"{' & '.join(cells)} \\",
    begin=lambda columns: [rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}", r"\toprule"],
    below_head=lambda columns: [r"\midrule"],
    between=[r"\midrule"],
    end=[r"\bottomrule", r"\end{tabular}"],
    remark=lambda sentence: f"% {sentence}",
    remarks_first=True,
)
