"""The report: one page that carries everything it shows and runs no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow.parquet as pq

from lookalike import __version__
from lookalike.charts import colour_number, dash_of
from lookalike.comparison import TRAINED, UNTRAINED, Run, number, signed
from lookalike.data_layout import SPLITS
from lookalike.examples import Images, examples, look_alikes
from lookalike.figures import headline_figures, training_figures
from lookalike.files import read_json, write_text
from lookalike.glossary import explain
from lookalike.inspection import class_scores, hardest, sample
from lookalike.metrics import headline_keys
from lookalike.quoting import shown
from lookalike.results import Results, flat, read_results
from lookalike.standings import Comparisons, best_run, differences, gain_of, seed_spreads
from lookalike.thumbnails import Thumbnails

HARDEST, SAMPLED = 30, 20
"""Queries shown: the hardest ones, and a sample of the others."""
PLACES = 10
"""Gallery images shown for each of them."""
CLASSES = 10
"""Classes shown at each end."""


def write_report(
    output: Path,
    *,
    template: Path,
    comparison: Path,
    data_report: Path,
    runs: Sequence[Run],
    folders: Mapping[str, Path],
    manifests: Mapping[str, Path],
    title: str,
    note: str = "",
    k: Sequence[int],
) -> None:
    """Write the page `output` from the files of all `runs`.

    Args:
        output: the HTML file.
        template: the page's jinja2 template; what it includes lies beside it.
        comparison: comparison.parquet over the same runs.
        data_report: data_report.json.
        runs: recipe, seed and results folder of each run.
        folders: of the images of `train`, `query` and `gallery`.
        manifests: of these splits.
        title: heading of the page, plain text.
        note: plain text shown at the end, the images' licence for example; its addresses
            become links.
        k: cut-offs of the metrics; 10, or else the middle one, ranks runs, classes and queries.

    An image that can no longer be read is shown as a blank and counted in a warning.
    """
    results = [read_results(run, place) for place, run in enumerate(runs)]
    rows = {(row["run"], row["state"]): row for row in pq.read_table(comparison).to_pylist()}
    key = f"mAP@{_middle(k)}"
    best = best_run(results, rows, key)
    headline = headline_keys(sorted(set(k)))
    compared = differences(results, rows, key, headline)
    data = read_json(data_report)

    thumbnails = Thumbnails(best.model["image"]["background"])
    images = {split: Images(folders[split], manifests[split], thumbnails) for split in SPLITS}
    gallery = images["gallery"]
    rankings = pd.read_parquet(runs[best.place][-1] / "rankings.parquet")
    per_query = best.trained.per_query
    places = min(PLACES, max(k))
    hard = hardest(per_query, key, HARDEST)
    others = sample(per_query, SAMPLED, without=hard)
    shown = [
        examples(names, per_query, rankings, images["query"], gallery, key, places)
        for names in (hard, others)
    ]
    classes = class_scores(
        per_query, best.untrained.per_query, rankings, gallery.labels, key, places
    )
    near = look_alikes(data["near_duplicates"]["across"], images)
    page = _environment(template.parent).get_template(template.name)
    write_text(
        output,
        page.render(
            title=title,
            note=note,
            version=__version__,
            key=key,
            headline=headline,
            best=best,
            runs=results,
            rows=rows,
            warnings=_warnings(results, compared, key, data, thumbnails.unreadable),
            differences=compared,
            seeds=seed_spreads(results, rows, headline),
            headline_figures=headline_figures(results, rows, headline),
            training_figures=training_figures(results),
            settings=_settings(results),
            n_classes=len(classes),
            worst=classes[:CLASSES],
            strongest=classes[CLASSES:][::-1][:CLASSES],
            hardest=shown[0],
            sampled=shown[1],
            places=places,
            data=data,
            look_alikes=near,
            thumbnails=thumbnails.made,
        ),
    )


def _environment(folder: Path) -> jinja2.Environment:
    """Templates in `folder`; whatever they are given is text and gets escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "as": lambda value, key: number(key, value),
        "shown": shown,
        "signed": lambda value, key: signed(key, value),
        "percent": "{:.1%}".format,
        "short": _short,
        "count": _count,
        "duration": _duration,
        "explain": explain,
    }
    environment.globals |= {
        "TRAINED": TRAINED,
        "UNTRAINED": UNTRAINED,
        "colour_number": colour_number,
        "dash_of": dash_of,
    }
    return environment


def _middle(k: Sequence[int]) -> int:
    return 10 if 10 in k else sorted(k)[len(k) // 2]


def _warnings(
    runs: Sequence[Results],
    compared: Comparisons,
    key: str,
    data: Mapping[str, Any],
    unreadable: int,
) -> list[str]:
    """What a reader must know before believing a number."""
    warnings = [finding["text"] for finding in data["findings"] if finding["level"] == "warning"]
    warnings += [
        f"Training is not shown to have helped {run.name}: its {key} may be no higher than the "
        "untrained one, by their difference on these queries."
        for run in runs
        if compared[gain_of(run)][key].verdict != "better"
    ]
    if unreadable:
        images = "image" if unreadable == 1 else "images"
        warnings.append(
            f"{unreadable:,} {images} shown here could be read when scored, and are gone, "
            "damaged or replaced now; a blank stands instead."
        )
    return warnings


def _settings(runs: Sequence[Results]) -> list[tuple[str, dict[str, Any], bool]]:
    """(setting, {recipe: value or None}, whether the recipes differ); those that do come first."""
    by_recipe = {run.recipe: flat(run.settings) for run in runs}
    names = dict.fromkeys(name for values in by_recipe.values() for name in values)
    table = []
    for name in names:
        values = {recipe: settings.get(name) for recipe, settings in by_recipe.items()}
        first, *others = values.values()
        table.append((name, values, any(other != first for other in others)))
    return sorted(table, key=lambda row: not row[2])


def _short(value: float | int | None) -> str:
    """A cell of a training history: four significant digits, a dash for none."""
    if value is None or value != value:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:,.4g}"


def _count(value: float | None) -> str:
    """A count, or a median of counts, which may end in .5."""
    return "–" if value is None else f"{value:,.1f}".removesuffix(".0")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
