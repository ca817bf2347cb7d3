"""Embeddings from elsewhere, held against the manifest: a row for each image, and numbers in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.columns import texts_of
from lookalike.embedding.tables import read_metadata, read_names, read_vectors
from lookalike.errors import LookalikeError
from lookalike.storage.parquet import columns_of, opened, read_columns
from lookalike.text import quoted, shown, shown_path

_SCORES = ("cosine", "euclidean")

_TOLD = 3  # of images that a message names
_NORM_TOLERANCE = 1e-3
_NAMES = ("image_id", "label", "sha256")


@dataclass(frozen=True)
class FittingTable:
    """A table that fits its split.

    Attributes:
        path: the file.
        names: the columns `image_id`, `label` and `sha256` of the manifest's usable images.
        places: int64 [rows of the file], where in `names` each row belongs; -1 where the manifest
            leaves the image out.
        width: values of an embedding.
        are_one: whether all embeddings have length 1.
    """

    path: Path
    names: dict[str, pa.StringArray]
    places: NDArray[np.int64]
    width: int
    are_one: bool

    def __len__(self) -> int:
        return len(self.names["image_id"])

    @property
    def n_left_out(self) -> int:
        """Rows of images that the manifest leaves out."""
        return int((self.places < 0).sum())

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The embeddings in the file's order: int64 [m] places, float32 [m, width]."""
        return _placed(self.path, self.places)


def given_tables(
    recipe: str,
    files: Mapping[str, Path],
    manifests: Mapping[str, Path],
    score: str | None,
    *,
    labelled: bool = True,
) -> tuple[dict[str, FittingTable], str]:
    """Read the tables of a recipe once, and see that they are fit to be scored.

    Args:
        recipe: its name, for messages.
        files: the table of `query` and of `gallery`.
        manifests: manifest/{split}.parquet of both.
        score: cosine or euclidean; None takes what both tables state in their metadata, else cosine
            where all embeddings have length 1.
        labelled: whether labels say anything; without, those in a table are not looked at.

    Returns:
        The table of each split, and the score.

    Raises:
        LookalikeError: a table cannot be read, its images are not those of the manifest or come
            twice, their labels or contents contradict it, embeddings are not all as long, not
            finite, or it cannot be told what compares them; with the file and the remedy.
    """
    tables = {
        split: _table_of(split, path, manifests[split], labelled) for split, path in files.items()
    }
    first, second = tables.values()
    if first.width != second.width:
        raise LookalikeError(
            f"{shown_path(first.path)} holds embeddings of {first.width} values, "
            f"{shown_path(second.path)} of {second.width}; embed both with one model"
        )
    score = score or _stated_score(first.path, second.path)
    if score is None and not (first.are_one and second.are_one):
        raise LookalikeError(
            f"recipes.{recipe}: it cannot be told what compares the embeddings of "
            f"{shown_path(first.path)} and {shown_path(second.path)}: their lengths are not 1. Say "
            "score: cosine (direction alone) or score: euclidean (distance) in the recipe"
        )
    return tables, score or "cosine"


def is_of_images(table: Path, manifest: Path) -> bool:
    """Whether a table of the workflow's has the images of a manifest, as they are now, in order."""
    try:
        there = read_names(table, _NAMES)
    except LookalikeError:  # damaged, or of an earlier version
        return False
    of_images = usable(read_manifest(manifest))
    return all(of_images[name].combine_chunks().equals(there[name]) for name in _NAMES)


def _table_of(split: str, path: Path, manifest: Path, labelled: bool) -> FittingTable:
    listed = read_manifest(manifest)
    of_images = usable(listed)
    names = {column: of_images[column].combine_chunks() for column in _NAMES}
    ids = read_names(path, ["image_id"])["image_id"]
    _require_once(path, ids)
    found = pc.index_in(ids, value_set=names["image_id"])
    unusable = pc.is_in(ids, value_set=listed["image_id"])
    _require_same_images(split, path, manifest, ids, names["image_id"], unusable)
    places = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    for column in ("label", "sha256") if labelled else ("sha256",):
        _require_agreement(path, column, ids, names[column], places)
    width, are_one = 0, True
    for at, vectors in _placed(path, places):
        width = vectors.shape[1]
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        finite = np.isfinite(squares)
        if not finite.all():
            told = _told(names["image_id"], at[~finite])
            raise LookalikeError(
                f"{shown_path(path)}: embeddings hold NaN, infinity or numbers too large to be "
                f"squared: {told}. Embed these images anew"
            )
        are_one = are_one and bool(np.all(np.abs(np.sqrt(squares) - 1) <= _NORM_TOLERANCE))
    return FittingTable(path, names, places, width, are_one)


def _placed(
    path: Path, places: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Places and embeddings of the rows that have a place, block by block."""
    start = 0
    for vectors in read_vectors(path):
        at = places[start : start + len(vectors)]
        start += len(vectors)
        yield at[at >= 0], vectors[at >= 0]


def _require_once(path: Path, ids: pa.StringArray) -> None:
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        raise LookalikeError(
            f"{shown_path(path)}: {len(twice):,} image_id(s) are there more than once: "
            f"{_first(twice)}. Keep one row of each image"
        )


def _require_same_images(
    split: str,
    path: Path,
    manifest: Path,
    ids: pa.StringArray,
    wanted: pa.StringArray,
    known: pa.BooleanArray,
) -> None:
    missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=ids)))
    surplus = ids.filter(pc.invert(known))
    if not len(missing) and not len(surplus):
        return
    faults = []
    if len(missing):
        faults.append(
            f"{len(missing):,} of {len(wanted):,} {split} images have no embedding: "
            f"{_first(missing)}"
        )
    if len(surplus):
        faults.append(f"{len(surplus):,} rows are of no {split} image: {_first(surplus)}")
    remedies = ["Embed the missing images"] * bool(len(missing))
    remedies += ["leave the other rows out"] * bool(len(surplus))
    remedy = " and ".join(remedies)
    raise LookalikeError(
        f"{shown_path(path)}: {'; '.join(faults)}. An image_id is the file's path inside of the "
        f"folder of {split} images, as {shown_path(manifest)} has it. {remedy[:1].upper()}"
        f"{remedy[1:]}"
    )


def _require_agreement(
    path: Path,
    column: str,
    ids: pa.StringArray,
    of_images: pa.StringArray,
    places: NDArray[np.int64],
) -> None:
    """See that a column that need not be there says what the manifest does, where it says any."""
    with opened(path) as file:
        if column not in columns_of(path, file).names:
            return
        values = read_columns(path, file, [column]).column(column)
    rows = pc.indices_nonzero(pc.and_(pc.is_valid(values), pa.array(places >= 0)))
    named = ids.take(rows)
    told = texts_of(path, column, values.take(rows), lambda _, row: quoted(str(named[row])))
    ours = of_images.take(pa.array(places[rows.to_numpy()]))
    others = pc.indices_nonzero(pc.not_equal(told, ours))
    if not len(others):
        return
    row = others[0].as_py()
    name, here, there = named[row], told[row], ours[row]
    remedy = (
        "Labels are those of the label files: mend the one that is wrong, or leave the column out"
        if column == "label"
        else "The embeddings are of other files: embed the images as they are now"
    )
    raise LookalikeError(
        f"{shown_path(path)}: the {column} of {len(others):,} image(s) is another one than in the "
        f"manifest; of {quoted(str(name))} it is {shown(str(here))} here and {shown(str(there))} "
        f"there. {remedy}"
    )


def _stated_score(first: Path, second: Path) -> str | None:
    """The score that both tables state; refuses tables of two models."""
    stated = [read_metadata(path) for path in (first, second)]
    for key, meaning in (("model_digest", "model"), ("score", "score")):
        here, there = (metadata.get(key) for metadata in stated)
        if here and there and here != there:
            raise LookalikeError(
                f"{shown_path(first)} and {shown_path(second)} were not made for one another: the "
                f"{meaning} is {shown(str(here))} in one and {shown(str(there))} in the other. "
                "Embed both with one model"
            )
    score = stated[0].get("score")
    return str(score) if score == stated[1].get("score") and score in _SCORES else None


def _first(names: pa.Array) -> str:
    told = ", ".join(quoted(name) for name in names[:_TOLD].to_pylist())
    return told + (", ..." if len(names) > _TOLD else "")


def _told(ids: pa.StringArray, places: NDArray[np.int64]) -> str:
    return _first(ids.take(pa.array(places)))
