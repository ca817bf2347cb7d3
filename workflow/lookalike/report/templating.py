"""The templates of pages: what their filters and names are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from lookalike.report.glossary import explain, without_repetition
from lookalike.report.numbers import number, signed
from lookalike.report.runs import MAIN
from lookalike.report.svg import colour_number, dash_of, mark_name
from lookalike.text import shown, shown_path


def environment(templates: Mapping[str, Path]) -> jinja2.Environment:
    """Templates by name; whatever they are given is text and gets escaped."""

    # Not by their folder: in an imported workflow each lies where Snakemake has put it.
    def source(name: str) -> tuple[str, str, None] | None:
        path = templates.get(name)
        return None if path is None else (path.read_text(encoding="utf-8"), str(path), None)

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "as": lambda value, key: number(key, value),
        "shown": shown,
        "path": shown_path,
        "signed": lambda value, key: signed(key, value),
        "percent": "{:.1%}".format,
        "short": _short,
        "breakable": breakable,
        "count": _count,
        "duration": _duration,
        "prose": _prose,
        "explain": explain,
        "without_repetition": lambda metrics: without_repetition(list(metrics)),
        "heading_in": lambda state, run: run.heading(state),
        "called_in": lambda state, runs: " or ".join(
            dict.fromkeys(run.called(state) for run in runs if state.name in run.states)
        ),
    }
    made.globals |= {
        "main": MAIN,
        "mark_name": mark_name,
        "colour_number": colour_number,
        "dash_of": dash_of,
    }
    return made


def breakable(name: str) -> Markup:
    """A dotted name that may go on in the next line after its dots and underscores alone.

    >>> breakable("optimizer.weight_decay")
    Markup('optimizer.<wbr>weight_<wbr>decay')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[._])(?=[^._])", name))


def _short(value: float | int | None) -> str:
    """A cell of a training history: four significant digits, a dash for none, yes or nothing."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value) if isinstance(value, int) else f"{value:,.4g}"


def _count(value: float | None) -> str:
    """A count, or a median of counts, which may end in .5."""
    return "–" if value is None else f"{value:,.1f}".removesuffix(".0")


def _prose(text: Markup) -> Markup:
    """A text that is written over several lines, in one."""
    return Markup(" ").join(text.split())


def _duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
