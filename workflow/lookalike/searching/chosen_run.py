"""A run of a results folder, as what is searched: its model, and its gallery or another table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookalike.data.manifest_table import read_manifest, usable
from lookalike.data.places import PLACES_FILE, read_places
from lookalike.embedding.tables import GIVEN_KEY, read_metadata, read_names
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.models.settings import ModelSettings
from lookalike.report.leading import run_shown_first
from lookalike.report.runs import MAIN, MODEL, RUN_PATTERN, model_pattern, state_in
from lookalike.retrieval.relevance import Texts, as_texts
from lookalike.retrieval.scored_tables import GALLERY_COLUMNS
from lookalike.searching.starting import require_results
from lookalike.storage.files import read_json
from lookalike.storage.parquet import read_table, reading
from lookalike.text import did_you_mean, shown, shown_path

AGAIN = "Run the workflow again: it makes anew what is missing or stale"

_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class SearchedRun:
    """A run whose gallery is searched.

    Attributes:
        name: as its folder is called inside the results, `default.0` or `default.0/untrained`.
        folder: that folder.
        model: the content of model.json; empty where embeddings came from elsewhere.
        digest: of the model, or what stands for it where embeddings came from elsewhere.
        score: what compares embeddings, cosine or euclidean.
        places: the folders of the query and gallery images; without one of which it is not known.
        table: what is searched in place of its gallery: embeddings that `lookalike embed` made.
    """

    name: str
    folder: Path
    model: dict[str, Any]
    digest: str
    score: str
    places: Mapping[str, Path]
    table: Path | None = None

    @property
    def results(self) -> Path:
        """The folder of all results."""
        return self.folder.parents[self.name.count("/")]

    def require_model(self, what: str) -> None:
        """Raise LookalikeError where there is no model; `what` cannot be done without one."""
        if not self.model:
            raise LookalikeError(
                f"{shown_path(self.folder)}: the embeddings of {self.name} came from elsewhere, so "
                f"there is no model here and {what}. Name a run that has one by --run"
            )

    @property
    def weights(self) -> Path:
        """The network's weights, beside model.json."""
        return self.folder / "model.safetensors"

    @property
    def gallery(self) -> Path:
        """The table of the embeddings that are searched."""
        return self.own_gallery if self.table is None else self.table

    @property
    def own_gallery(self) -> Path:
        """The table of the run's gallery, by which it was measured."""
        return self.folder / "embeddings" / "gallery.parquet"


def open_run(
    results: Path,
    name: str | None = None,
    *,
    gallery_folder: Path | None = None,
    among: Path | None = None,
) -> SearchedRun:
    """Open a run, and see that its gallery was made by its model and is that of the manifest.

    Args:
        results: the folder that the setting `results` names.
        name: of the run; None takes the one that the report shows first, or the only one there is.
        gallery_folder: where the images that are searched lie, should they have moved since.
        among: a table of `lookalike embed` to search in place of the run's gallery.

    Raises:
        LookalikeError: there is no such run, or a file is missing, stale, damaged or foreign; the
            message names it and what to do.
    """
    require_results(results)
    name = name or _usual_run(results)
    if re.fullmatch(model_pattern(), name) and not {*MODEL} & {*state_in(name).files}:
        raise LookalikeError(
            f"{name}: this state has no network of its own, only other embeddings or another "
            f"order; name the run, {name.partition('/')[0]}"
        )
    if not re.fullmatch(model_pattern(), name) or not _has_gallery(results / name):
        known = _runs_in(results)
        raise LookalikeError(
            f"{shown_path(results)}: there is no run {shown(name)}"
            + (did_you_mean(name, known) if known else "; there are no trained runs in it")
        )
    folder = results / name
    places = _places(results, gallery_folder if among is None else None)
    if given := _given(folder):
        digest, score = given["model_digest"], given["score"]
        run = SearchedRun(name, folder, {}, digest, score, places, among)
    else:
        model = _model(folder / "model.json")
        # Digest and score follow from the model.
        score = ModelSettings.from_dict(model["model"]).score
        run = SearchedRun(name, folder, model, model["digest"], score, places, among)
        _require(run.weights)
    _require_of_model(run)
    return run if among is None else _with_table(run, among, gallery_folder)


def _with_table(run: SearchedRun, table: Path, folder: Path | None) -> SearchedRun:
    """The run with the folder of the images that the table is of, after a look at its model."""
    run.require_model("no table can be embedded to be searched by --among")
    if not is_there(table):
        raise LookalikeError(
            f"{shown_path(table)}: there is no such file; --among takes a table that lookalike "
            "embed made by this run"
        )
    told = read_metadata(table)
    if told.get("model_digest") != run.digest:
        raise LookalikeError(
            f"{shown_path(table)}: is not of the model of {run.name}, so its embeddings mean "
            f"nothing to it. Make it anew: lookalike embed {shown_path(run.results)} FOLDER --run "
            f"{run.name} --out {shown_path(table)}"
        )
    places = {split: place for split, place in run.places.items() if split != "gallery"}
    if folder is None and isinstance(told.get("folder"), str):
        folder = Path(told["folder"])
    return replace(run, places=places if folder is None else {**places, "gallery": folder})


def read_gallery_names(run: SearchedRun, results: Path) -> dict[str, Texts]:
    """The columns `image_id`, `label` and `sha256` of the gallery, as the manifest has them.

    Of another table that is searched, as they are; a label that nobody has said is empty.

    Raises:
        LookalikeError: the table is damaged, or the gallery is another one by now.
    """
    if run.table is not None:
        named = read_names(run.table, [name for name in GALLERY_COLUMNS if name != "label"])
        labels = as_texts(read_table(run.table, ["label"])["label"]).fill_null("")
        return {**named, "label": labels}
    names = read_names(run.gallery, GALLERY_COLUMNS)
    manifest = results / "manifest" / "gallery.parquet"
    # Whoever hands on a run alone hands on no manifest.
    if is_there(manifest):
        now = usable(read_manifest(manifest))
        with reading(manifest):
            columns = {name: now[name].combine_chunks() for name in GALLERY_COLUMNS}
        if any(not columns[name].equals(names[name]) for name in GALLERY_COLUMNS):
            raise LookalikeError(
                f"{shown_path(run.gallery)}: is stale: images or labels of the gallery have "
                f"changed since, as {shown_path(manifest)} says. {AGAIN}; {run.name} must be "
                "among its runs"
            )
    return dict(names)


def _usual_run(results: Path) -> str:
    """The run that the report shows first; where nothing was compared, the only run there is."""
    path = results / "comparison.parquet"
    if not is_there(path):
        if is_there(results / "model.json"):
            raise LookalikeError(
                f"{shown_path(results)}: is the folder of a run; name the results that it is in, "
                f"and the run by --run {shown(results.absolute().name)}"
            )
        known = _runs_in(results)
        if len(known) == 1:
            return known[0]
        raise LookalikeError(
            f"{shown_path(path)}: there is no such file, so it cannot be told which run is meant. "
            + (
                f"Name one: {' or '.join(f'--run {name}' for name in known[:_NAMED_AT_MOST])}"
                if known
                else "The folder holds no finished runs: name a workflow's results, or run the "
                "workflow to its end"
            )
        )
    rows = read_table(path, ["run", "state"])
    states = zip(rows["run"].to_pylist(), rows["state"].to_pylist(), strict=True)
    if not (runs := [str(run) for run, state in states if state == MAIN.name]):
        raise LookalikeError(f"{shown_path(path)}: it names no run. {AGAIN}")
    return run_shown_first(results, runs)


def _runs_in(results: Path) -> list[str]:
    """The runs whose model, or embeddings from elsewhere, are there, by name."""
    try:
        return sorted(
            path.name
            for path in results.iterdir()
            if re.fullmatch(RUN_PATTERN, path.name) and _has_gallery(path)
        )
    except OSError:
        return []


def _has_gallery(folder: Path) -> bool:
    """Whether a folder is that of a run: of a model, or of embeddings from elsewhere."""
    return is_there(folder / "model.json") or _given(folder) is not None


def _given(folder: Path) -> dict[str, Any] | None:
    """What the gallery of a run says of itself if it came from elsewhere; else None.

    Not the files around it: those of a model may be left of a time before.
    """
    path = folder / "embeddings" / "gallery.parquet"
    if not is_there(path):
        return None
    told = read_metadata(path)
    keys = ("model_digest", "score")
    return (
        told
        if told.get(GIVEN_KEY) and all(isinstance(told.get(key), str) for key in keys)
        else None
    )


def _model(path: Path) -> dict[str, Any]:
    model = read_made(path, {"digest": str, "model": dict, "image": dict})
    try:
        ModelSettings.from_dict(model["model"])
        ImageSettings.from_dict(model["image"])
    except (KeyError, TypeError, ValueError, AttributeError, LookalikeError) as error:
        raise LookalikeError(
            f"{shown_path(path)}: is damaged: its settings are not those of a network. Delete the "
            f"folder. {AGAIN}"
        ) from error
    return model


def _places(results: Path, gallery_folder: Path | None) -> dict[str, Path]:
    path = results / "manifest" / PLACES_FILE
    places = read_places(path) if is_there(path) else {}
    if gallery_folder is not None:
        if not gallery_folder.is_dir():
            raise LookalikeError(
                f"{shown_path(gallery_folder)}: there is no such folder; --gallery-folder names "
                "the folder of the gallery's images"
            )
        places["gallery"] = gallery_folder
    return places


def _require_of_model(run: SearchedRun) -> None:
    """See that the gallery was embedded by the run's model."""
    _require(run.own_gallery)
    digest = run.digest
    summary = run.own_gallery.with_suffix(".json")
    told = read_made(summary, {"model_digest": str})["model_digest"]
    of_table = read_metadata(run.own_gallery)
    for path, other in ((summary, told), (run.own_gallery, of_table.get("model_digest"))):
        if other != digest:
            raise LookalikeError(
                f"{shown_path(path)}: is stale: it is of "
                f"{'model ' + shown(str(other)) if other else 'no known model'}, and "
                f"{'model.json' if run.model else run.gallery.name} "
                f"in {shown_path(run.folder)} is of {digest}. {AGAIN}; {run.name} must be among "
                "its runs"
            )
    # Both follow from the digest, and one of them decides the order.
    if of_table.get("score") != run.score:
        raise LookalikeError(
            f"{shown_path(run.folder / 'model.json')}: its network is compared by {run.score}, and "
            f"{shown_path(run.own_gallery)} says {shown(str(of_table.get('score')))}: one of them "
            f"is damaged. Delete the folder. {AGAIN}"
        )


def _require(path: Path) -> None:
    if not is_there(path):
        raise LookalikeError(f"{shown_path(path)}: there is no such file. {AGAIN}")


def is_there(path: Path) -> bool:
    """Whether there is such a file; LookalikeError where that cannot be told."""
    try:
        return path.is_file()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(path)}: cannot be read: {why}") from error


def read_made(path: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """Read a JSON object that the workflow made, with these keys at the least.

    Raises:
        LookalikeError: it is missing or damaged.
    """
    _require(path)
    content: dict[str, Any] = read_json(path, keys, remedy=f"Delete it. {AGAIN}")
    return content
