"""What the report shows of changes: from the baseline to other runs, or by training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from lookalike import __version__
from lookalike.report.changes import Changes, ComparedSide, changes_between, thumbnails_in
from lookalike.report.examples import Images
from lookalike.report.leading import HeldOutRun, shown_first
from lookalike.report.pairs import Pair, pairs_with_baseline
from lookalike.report.results import Results
from lookalike.report.runs import BASELINE, MAIN
from lookalike.report.thumbnails import Thumbnails
from lookalike.report.verdicts import Verdicts
from lookalike.storage.files import write_text

FIRST, FURTHER, ON_PAGE = 5, 2, 8
"""Queries shown that gained, and that lost: of the first comparison, of one in a fold, on a page
of its own."""
FOLDS = 3
"""Comparisons shown in folds: each has some eighty pictures, which the page carries."""


@dataclass(frozen=True)
class RunsCompared:
    """What is laid beside each other, and with which pictures.

    Attributes:
        runs: all of them.
        leading: the one that the page shows first.
        verdicts: of the recipes.
        images: by split.
        key: the metric.
        places: gallery images shown of each ranking.
        pages: by the name of a run's folder, its page, where it has one of its own.
    """

    runs: Sequence[Results]
    leading: Results
    verdicts: Verdicts
    images: Mapping[str, Images]
    key: str
    places: int
    pages: Mapping[str, Path]

    @property
    def pairs(self) -> dict[str, Pair]:
        """By recipe other than the baseline."""
        return pairs_with_baseline(
            [(run.recipe, run.seed) for run in self.runs], self.verdicts.baseline
        )

    def side(self, name: str) -> ComparedSide:
        """A run, by the name of its folder, in the state that it stands for."""
        run = self._run(name)
        return ComparedSide.of(run.name, run.main, self.key)

    def links(self, folder: Path) -> dict[str, str]:
        """By the runs' names as they are shown, their pages as seen from `folder`."""
        return {
            self._run(name).name: page.relative_to(folder).as_posix()
            for name, page in self.pages.items()
        }

    def _run(self, name: str) -> Results:
        (run,) = (run for run in self.runs if run.folder_name == name)
        return run

    def of_training(self) -> list[Changes]:
        """What training changed in the run that is shown first; nothing where there was none."""
        run = self.leading
        if not run.is_trained or BASELINE.name not in run.states:
            return []
        before, after = (
            ComparedSide.of(run.called(state), run.states[state.name], self.key)
            for state in (BASELINE, MAIN)
        )
        return [changes_between(before, after, self.images, self.key, self.places, FIRST)]

    def on_report(self) -> list[Changes]:
        """What report.html shows: one comparison, then others for folds.

        The first is with the run that is shown first. Where that is the baseline's, with what
        would be shown first without that recipe.
        """
        pairs = self.pairs
        if not pairs:
            return self.of_training()
        recipe = self.leading.recipe
        if recipe not in pairs:
            others = [run for run in self.runs if run.recipe in pairs]
            first = shown_first(
                [HeldOutRun.of(run.recipe, run.model["settings"], run.history) for run in others]
            )
            recipe = others[first.place].recipe
        further = [one.recipe for one in self.verdicts.against if one.recipe != recipe][:FOLDS]
        sides: dict[str, ComparedSide] = {}
        found: list[Changes] = []
        for place, name in enumerate([recipe, *further]):
            pair = pairs[name]
            if pair.baseline not in sides:
                sides[pair.baseline] = self.side(pair.baseline)
            found.append(
                changes_between(
                    sides[pair.baseline],
                    self.side(pair.run),
                    self.images,
                    self.key,
                    self.places,
                    FURTHER if place else FIRST,
                    anchor=f"change{place}-",
                )
            )
        return found


def write_changes(
    templates: jinja2.Environment,
    compared: RunsCompared,
    *,
    report: Path,
    title: str,
    note: str,
    thumbnails: Thumbnails,
    short_labels: Mapping[str, str],
) -> None:
    """Write `pages` of `compared`: each stands alone, and leads back to the report.

    Args:
        templates: `changes_page.html.j2` among them.
        compared: what is compared.
        report: report.html.
        title: its title.
        note: as there, at the end.
        thumbnails: those of `compared`'s images; a page carries what it shows of them.
        short_labels: see `lookalike.report.short_labels`.
    """
    template = templates.get_template("changes_page.html.j2")
    sides: dict[str, ComparedSide] = {}
    for pair in compared.pairs.values():
        page = compared.pages.get(pair.run)
        if page is None:
            continue
        if pair.baseline not in sides:
            sides[pair.baseline] = compared.side(pair.baseline)
        changes = changes_between(
            sides[pair.baseline],
            compared.side(pair.run),
            compared.images,
            compared.key,
            compared.places,
            ON_PAGE,
        )
        shown = thumbnails_in(changes)
        up = "../" * (len(page.relative_to(report.parent).parts) - 1)
        write_text(
            page,
            template.render(
                title=title,
                note=note,
                version=__version__,
                report=f"{up}{report.name}",
                changes=changes,
                key=compared.key,
                places=compared.places,
                short_labels=short_labels,
                thumbnails=[each for each in thumbnails.made if each.id in shown],
            ),
        )
