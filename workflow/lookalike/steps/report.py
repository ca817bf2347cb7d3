"""The report: one page that carries everything it shows and runs no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from lookalike import __version__
from lookalike.data.layout import SPLITS
from lookalike.report.answers import (
    ANSWER_COLUMNS,
    answer_figures,
    false_match_rates,
    left_out_of_pairs,
    roc_figure,
    wrong_answers,
)
from lookalike.report.cards import card_keys, table_keys
from lookalike.report.changes import shown_anchors
from lookalike.report.class_growth import class_growth
from lookalike.report.classes import (
    FEWEST_MISTAKEN,
    class_scores,
    classes_in_words,
    pictures_of,
)
from lookalike.report.differences import (
    Comparisons,
    differences,
    recipes_of,
    require_scored_alike,
    side_name,
    why_no_interval,
)
from lookalike.report.examples import Images, examples, near_duplicates
from lookalike.report.figures import headline_figures, telling_keys, training_figures
from lookalike.report.growth_figures import forecasts_of, growing, growth_figures
from lookalike.report.hardest import hardest, one_a_class, sample
from lookalike.report.leading import HeldOutRun, shown_first
from lookalike.report.origin import origin_of
from lookalike.report.outcome import found_in_words, telling_cut_off
from lookalike.report.page_warnings import findings_below, of_unreadable, page_warnings
from lookalike.report.recipe_points import highest_runs, recipe_points
from lookalike.report.results import (
    ComparisonRows,
    Results,
    read_results,
    states_of,
    with_shown_names,
)
from lookalike.report.runs import BASELINE, MAIN, Run, model_name
from lookalike.report.search_side import hubs_of, searched_states
from lookalike.report.selections import MOST_WINNERS, read_selections
from lookalike.report.settings_table import settings_table
from lookalike.report.short_labels import short_labels
from lookalike.report.side_by_side import of_one_run_each, side_by_side
from lookalike.report.slices import MOST_RUNS, slices_of
from lookalike.report.started import Started
from lookalike.report.summary_table import summary_table
from lookalike.report.summary_text import as_latex, as_markdown, remarks_on, remarks_on_rows
from lookalike.report.templating import environment
from lookalike.report.thumbnails import Thumbnails
from lookalike.report.training_time import that_differ, training_time
from lookalike.report.use import use_of
from lookalike.report.verdicts import NOT_TOLD_APART, compare_recipes
from lookalike.report.verdicts_in_words import few_units, on_seeds, verdict_in_words
from lookalike.retrieval.identification import Answers
from lookalike.retrieval.metrics import headline_keys
from lookalike.steps.report_changes import RunsCompared, write_changes
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, write_text
from lookalike.storage.parquet import read_table
from lookalike.text import shown, shown_path

HARDEST, SAMPLED, DRAWN = 30, 14, 6
"""Queries shown: the hardest ones, a sample of the others, and such as are drawn from all."""
UNFOLDED = 8
"""Hardest queries that are seen without opening anything, at most one a class."""
TIED = 0.01
"""Share of queries from which on ties are shown."""
PLACES = 10
"""Gallery images shown for each of them."""
WRONG = 10
"""Wrong answers shown."""
CLASSES = 10
"""Classes shown at each end."""
RUNS = 30
"""Runs shown one by one: of more, the leading ones."""
CURVES = 12
"""Trainings drawn as curves, where not all runs are shown: more would not be looked at."""

# Of per_query.parquet, beside the metric by which classes and queries are ranked.
_QUERY_COLUMNS = (
    "query_id",
    "label",
    "n_relevant",
    "n_gallery",
    "scored",
    "first_rank",
    "mean_rank",
)


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
    results = with_shown_names([read_results(run, place) for place, run in enumerate(runs)])
    rows = _rows_of(results, comparison)
    key = f"mAP@{telling_cut_off(k)}"
    headline = headline_keys(sorted(set(k)))
    require_scored_alike(results, rows, table_keys(k))
    first = shown_first(
        [HeldOutRun.of(run.recipe, run.model["settings"], run.history) for run in results]
    )
    leading = results[first.place]
    by_rank = [leading, *(run for run in results if run.name != leading.name)]
    recipes, protocol = recipes_of(results), leading.main.protocol
    compared = differences(results, headline)
    verdicts = compare_recipes(recipes, baseline, key, headline, protocol)
    intervals = {mean.recipe: mean.interval[key] for mean in verdicts.means}
    shown_against, growing_keys = verdicts.against[:RUNS], growing(by_rank, headline)
    by_class = protocol["bootstrap_unit"] == "class"
    data = read_json(data_report, {"near_duplicates": dict, "findings": list})
    data["findings"] = findings_below(data["findings"])

    thumbnails = Thumbnails(leading.model["image"].get("background", "white"))
    shown_runs = highest_runs(results, rows, key, RUNS, leading)
    trained, n_curves = [run for run in results if run.is_trained], CURVES
    if len(shown_runs) == len(results):
        n_curves = RUNS
    shown_recipes = {recipe: recipes[recipe] for recipe in recipes_of(shown_runs)}
    curves = highest_runs(trained, rows, key, n_curves, leading)
    points = recipe_points(results, rows, key, intervals)
    all_recipes = side_by_side(points, key, runs_are_drawn=len(shown_runs) == len(results))
    # A chart of all recipes shows the runs that lead, too, where each is a recipe of its own.
    drawn_with_all = all_recipes and of_one_run_each(points) and all_recipes.estimates
    images = {split: Images(folders[split], manifests[split], thumbnails) for split in SPLITS}
    gallery = images["gallery"]
    places = min(PLACES, max(k))
    rankings = leading.main.rankings(places)
    answered, threshold = leading.main.per_query(ANSWER_COLUMNS), leading.threshold["score"]
    per_query = leading.main.per_query([*_QUERY_COLUMNS, key])
    n_classes = per_query.loc[per_query["scored"], "label"].nunique()
    summary = leading.main.summary
    no_interval = why_no_interval(protocol, summary["n_queries"], n_classes)
    drawn = sample(per_query, DRAWN)
    hard = hardest(per_query, key, HARDEST)
    unfolded = one_a_class(hard, per_query, UNFOLDED)
    others = sample(per_query, SAMPLED, without=[*drawn, *hard])
    folded = [query for query in hard if query not in unfolded]
    drawn_examples, hard_examples, folded_examples, other_examples = (
        examples(names, per_query, rankings, images["query"], gallery, key, places)
        for names in (drawn, unfolded, folded, others)
    )
    wrong = wrong_answers(answered, rankings, images["query"], gallery, threshold, WRONG)
    classes = class_scores(
        per_query,
        {
            state.name: leading.states[state.name].per_query(["label", "scored", key])
            for state in leading.others
        },
        rankings,
        gallery.labels,
        key,
        places,
    )
    searched = searched_states(leading, rows, key, hubness=hubness)
    tables = [
        summary_table(group, rows, table_keys(k), key, compared)
        for group in (recipes, shown_recipes)
    ]
    remarks = remarks_on(tables[0], summary["n_queries"], summary["n_gallery"], no_interval)
    write_text(markdown, as_markdown(tables[0], remarks))
    write_text(latex, as_latex(tables[0], remarks))
    times = {
        run.name: training_time(run.history, run.model["settings"])
        for run in trained
        if len(run.history)
    }
    between = RunsCompared(results, leading, verdicts, images, key, places, changes)
    changed = between.on_report()
    short = short_labels({*images["query"].labels.values(), *gallery.labels.values()})
    pages = environment(templates)
    page = pages.get_template("page.html.j2")
    write_text(
        output,
        page.render(
            title=title,
            tab=_tab(title, leading, len(results), started),
            note=note,
            version=__version__,
            key=key,
            headline=headline,
            cards=card_keys(k),
            table=tables[1],
            remarks=remarks_on_rows(tables[1], no_interval),
            found_first=found_in_words(
                k,
                rows[leading.name, MAIN.name],
                rows.get((leading.name, BASELINE.name)),
                leading.called(BASELINE),
            ),
            leading=leading,
            why_first=first.why,
            by_class=by_class,
            why_units=summary["units"]["why"],
            runs=shown_runs,
            n_runs=len(results),
            curves=curves,
            states=states_of(shown_runs),
            rows=rows,
            warnings=page_warnings(results, compared, key, data, no_interval)
            + few_units(summary["units"], no_interval)
            + of_unreadable(thumbnails.unreadable),
            no_interval=no_interval,
            without_width=_without_width(rows, table_keys(k)),
            searched=searched,
            hubs=hubs_of(searched, gallery),
            differences=_of_shown(compared, shown_runs, shown_recipes),
            slices=slices_of(by_rank, attributes, slices, headline, protocol) if attributes else {},
            growing=growing_keys,
            growth_figures=growth_figures(by_rank, telling_keys(growing_keys, key)),
            forecasts=forecasts_of(shown_runs),
            class_growth=class_growth(results, rows, verdicts.means, key, headline, protocol),
            most_runs=MOST_RUNS,
            most_winners=MOST_WINNERS,
            verdicts=verdicts,
            against=shown_against,
            means=[mean for mean in verdicts.means if mean.recipe in shown_recipes],
            verdicts_in_words=[
                sentence
                for one in shown_against
                if (sentence := verdict_in_words(one, key, by_class, len(verdicts.against)))
            ],
            any_untold=any(one.judged[key].verdict == NOT_TOLD_APART for one in verdicts.against),
            on_seeds=on_seeds(shown_recipes, by_class, no_interval is None),
            selections=read_selections(selection) if selection else [],
            side_by_side=all_recipes,
            headline_figures=headline_figures(
                shown_runs,
                rows,
                headline,
                key,
                drawn_below=drawn_with_all.heading if drawn_with_all else "",
            ),
            answer_figures=answer_figures(Answers.of(answered), threshold, leading.place),
            roc_figure=roc_figure(summary["verification"], leading.place),
            left_out_of_pairs=left_out_of_pairs(
                {run.name: run.main.summary["verification"] for run in shown_runs}
            ),
            false_match_rates=false_match_rates(summary["verification"]),
            wrong_answers=wrong,
            training_figures=training_figures(curves),
            settings=settings_table(results, shown_runs),
            times=times,
            times_that_differ=that_differ(
                {run.name: times[run.name] for run in shown_runs if run.name in times}
            ),
            started=started,
            use=started and use_of(by_rank, started.results),
            origin=started
            and origin_of(
                started,
                output.parent / "benchmarks",
                [model_name(run.folder_name, state) for run in results for state in run.shown],
                {digest_of(run.model["image"]) for run in results if not run.is_given},
                [took.total for took in times.values()],
                [run.model["device"] for run in results if not run.is_given],
            ),
            n_classes=n_classes,
            classes_in_words=classes_in_words(classes, places),
            fewest_mistaken=FEWEST_MISTAKEN,
            pictures_of=pictures_of(
                [
                    (query.anchor, query.label)
                    for query in (*hard_examples, *other_examples, *folded_examples)
                ]
                + shown_anchors(changed)
            ),
            short_labels=short,
            changes=changed,
            change_pages={
                run.name: changes[run.folder_name].relative_to(output.parent).as_posix()
                for run in results
                if run.folder_name in changes
            },
            n_recipes=len(recipes),
            worst=classes[:CLASSES],
            strongest=classes[CLASSES:][::-1][:CLASSES],
            drawn=drawn_examples,
            hardest=hard_examples,
            folded=folded_examples,
            most_unfolded=UNFOLDED,
            sampled=other_examples,
            tied=[run for run in shown_runs if run.main.summary["ties"]["share"] >= TIED],
            places=places,
            data=data,
            # Empty, too, where they were not looked for, which is one of the findings.
            near_duplicates=near_duplicates(data["near_duplicates"]["across"], images),
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


def _tab(title: str, leading: Results, n_runs: int, started: Started | None) -> str:
    """What a browser calls the page: other data, results or runs have other names."""
    run = leading.name if n_runs == 1 else f"{leading.name} of {n_runs} runs"
    if started is None:
        return f"{run} – {title}"
    return f"{shown(started.data)}: {run} in {shown_path(started.results)} – {title}"


def _of_shown(
    compared: Comparisons,
    shown_runs: Sequence[Results],
    shown_recipes: Mapping[str, Sequence[Results]],
) -> Comparisons:
    """The comparisons of runs that are shown, and of their recipes; those of two sides all."""
    names = {run.name for run in shown_runs} | {
        side_name(recipe, group) for recipe, group in shown_recipes.items()
    }
    return {
        what: judged
        for what, judged in compared.items()
        if ": " not in what or what.partition(": ")[0] in names
    }


def _rows_of(results: Sequence[Results], comparison: Path) -> ComparisonRows:
    shown = {run.folder_name: run.name for run in results}
    return {(shown[row["run"]], row["state"]): row for row in read_table(comparison).to_pylist()}


def _without_width(rows: ComparisonRows, keys: Sequence[str]) -> bool:
    """Whether an interval is but a point: all queries, or classes, scored alike."""
    bounds = [(row[f"{key}_low"], row[f"{key}_high"]) for row in rows.values() for key in keys]
    # Sums of equal numbers differ in their last bits.
    return any(low is not None and high - low < 1e-9 for low, high in bounds)
