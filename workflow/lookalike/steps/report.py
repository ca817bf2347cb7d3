"""The report: one page that carries everything it shows and runs no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookalike import __version__
from lookalike.data.layout import SPLITS
from lookalike.report import in_numbers, in_pictures
from lookalike.report.examples import Images, near_duplicates
from lookalike.report.figures import training_figures
from lookalike.report.origin import origin_of
from lookalike.report.page_warnings import findings_below, of_unreadable, page_warnings
from lookalike.report.recipe_points import highest_runs
from lookalike.report.runs import Run, model_name
from lookalike.report.search_side import hubs_of, searched_states
from lookalike.report.settings_table import settings_table
from lookalike.report.short_labels import short_labels
from lookalike.report.started import Started
from lookalike.report.subject import MOST_SHOWN, Subject
from lookalike.report.summary_text import as_latex, as_markdown, remarks_on
from lookalike.report.templating import environment
from lookalike.report.thumbnails import Thumbnails
from lookalike.report.training_time import that_differ, training_time, whose_seeds_differ
from lookalike.report.use import use_of
from lookalike.report.verdicts_in_words import few_units
from lookalike.steps.report_changes import RunsCompared, write_changes
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, write_text
from lookalike.text import shown, shown_path

CURVES = 12
"""Trainings drawn as curves, where not all runs are shown: more would not be looked at."""


def write_report(
    output: Path,
    *,
    markdown: Path,
    latex: Path,
    templates: Mapping[str, Path],
    comparison: Path,
    data_report: Path,
    runs: Sequence[Run],
    folders: Mapping[str, Path],
    manifests: Mapping[str, Path],
    title: str,
    note: str = "",
    baseline: str = "",
    k: Sequence[int],
    slices: Sequence[str] = (),
    attributes: Path | None = None,
    selection: Path | None = None,
    hubness: bool = False,
    started: Started | None = None,
    changes: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write the page `output` from the files of all `runs`, and its table of recipes by itself.

    Args:
        output: the HTML file.
        markdown: the table of recipes as Markdown.
        latex: the same as LaTeX.
        templates: the files that the page is made of, by the names they include each other by:
            jinja2 templates, `page.html.j2` first of all, and a style sheet.
        comparison: comparison.parquet over the same runs.
        data_report: data_report.json.
        runs: recipe, seed and results folder of each run.
        folders: of the images of `train`, `query` and `gallery`.
        manifests: of these splits.
        title: heading of the page, plain text.
        note: plain text shown at the end, the images' licence for example; its addresses
            become links.
        baseline: name of the recipe that the others are compared with; empty for the first.
        k: cut-offs of the metrics; 10, or else the middle one, ranks recipes, classes and queries.
        slices: columns of `attributes` by whose values the queries are told apart.
        attributes: what is known of the queries; None where there are no slices.
        selection: selection.json; None where nothing was chosen from sweeps.
        hubness: whether each state of each run has hubness.json.
        started: how the run was started: with it the page tells where it comes from, and how to use
            the model from there.
        changes: pages beside it, below its folder: by the name of a run, what changed from the
            baseline to it.

    An image that can no longer be read is shown as a blank and counted in a warning.
    """
    subject = Subject.read(runs, comparison, k, baseline)
    leading, summary = subject.leading, subject.leading.main.summary
    _write_table(subject, markdown, latex)

    data = read_json(data_report, {"near_duplicates": dict, "findings": list})
    data["findings"] = findings_below(data["findings"])
    thumbnails = Thumbnails(leading.model["image"].get("background", "white"))
    images = {split: Images(folders[split], manifests[split], thumbnails) for split in SPLITS}
    gallery = images["gallery"]
    searched = searched_states(leading, subject.rows, subject.key, hubness=hubness)
    short = short_labels({*images["query"].labels.values(), *gallery.labels.values()})
    queries = in_pictures.queries(subject, images)
    between = RunsCompared(
        subject.results,
        leading,
        subject.verdicts,
        images,
        subject.key,
        subject.places,
        changes,
    )
    changed = between.on_report()
    pages = environment(templates)
    write_text(
        output,
        pages.get_template("page.html.j2").render(
            **in_numbers.numbers(subject),
            **in_numbers.recipes_compared(subject, selection),
            **in_numbers.parts_and_growth(subject, attributes, slices),
            **in_numbers.answers(subject),
            **queries,
            **in_pictures.classes(subject, images, queries, changed),
            **_trainings(subject),
            **_origin(subject, started, output.parent / "benchmarks"),
            title=title,
            tab=_tab(title, subject, started),
            note=note,
            version=__version__,
            searched=searched,
            hubs=hubs_of(searched, gallery),
            short_labels=short,
            changes=changed,
            change_pages=between.links(output.parent),
            data=data,
            # Empty, too, where they were not looked for, which is one of the findings.
            near_duplicates=near_duplicates(data["near_duplicates"]["across"], images),
            # Last, when all pictures have been asked for.
            warnings=page_warnings(
                subject.results, subject.compared, subject.key, data, subject.no_interval
            )
            + few_units(summary["units"], subject.no_interval)
            + of_unreadable(thumbnails.unreadable),
            thumbnails=thumbnails.made,
        ),
    )
    write_changes(
        pages,
        between,
        report=output,
        title=title,
        note=note,
        thumbnails=thumbnails,
        short_labels=short,
    )


def _write_table(subject: Subject, markdown: Path, latex: Path) -> None:
    """The table of all recipes by itself."""
    summary, table = subject.leading.main.summary, in_numbers.table_of(subject, shown=False)
    remarks = remarks_on(table, summary["n_queries"], summary["n_gallery"], subject.no_interval)
    write_text(markdown, as_markdown(table, remarks))
    write_text(latex, as_latex(table, remarks))


def _trainings(subject: Subject) -> dict[str, Any]:
    """What the runs were made with, how they learnt, and how long that took."""
    shown_runs, trained = subject.shown_runs, [run for run in subject.results if run.is_trained]
    most = MOST_SHOWN if len(shown_runs) == len(subject.results) else CURVES
    curves = highest_runs(trained, subject.rows, subject.key, most, subject.leading)
    times = {
        run.name: training_time(run.history, run.model["settings"])
        for run in trained
        if len(run.history)
    }
    return {
        "curves": curves,
        "training_figures": training_figures(curves),
        "settings": settings_table(subject.results, shown_runs),
        "times": times,
        "recipes_whose_seeds_differ": whose_seeds_differ(
            {
                recipe: [times[run.name] for run in group if run.name in times]
                for recipe, group in subject.shown_recipes.items()
            }
        ),
        "times_that_differ": that_differ(
            {run.name: times[run.name] for run in shown_runs if run.name in times}
        ),
    }


def _origin(subject: Subject, started: Started | None, benchmarks: Path) -> dict[str, Any]:
    """Where the page comes from, and how to use the model from there."""
    if started is None:
        return {"started": None, "use": None, "origin": None}
    results = subject.results
    trained = [run.history for run in results if run.is_trained and len(run.history)]
    return {
        "started": started,
        "use": use_of(subject.by_rank, started.results),
        "origin": origin_of(
            started,
            benchmarks,
            [model_name(run.folder_name, state) for run in results for state in run.shown],
            {digest_of(run.model["image"]) for run in results if not run.is_given},
            [float(history["seconds"].sum()) for history in trained],
            [run.model["device"] for run in results if not run.is_given],
        ),
    }


def _tab(title: str, subject: Subject, started: Started | None) -> str:
    """What a browser calls the page: other data, results or runs have other names."""
    run, n_runs = subject.leading.name, len(subject.results)
    if n_runs > 1:
        run = f"{run} of {n_runs} runs"
    if started is None:
        return f"{run} – {title}"
    return f"{shown(started.data)}: {run} in {shown_path(started.results)} – {title}"
