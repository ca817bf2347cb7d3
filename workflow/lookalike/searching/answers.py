"""What a search answers: for each image the nearest of the gallery, and whether they are believed.

Ranks as the metrics do, and leaves out what they leave out, so that a query of the run is answered
by the head of its own ranking.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.data.links import resolved_files
from lookalike.retrieval.arrays import Float32s, Int64s
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.relevance import Texts, as_texts
from lookalike.retrieval.tables import (
    EmbeddingTable,
    open_table,
    require_one_width,
    require_rows,
)
from lookalike.searching.answer_rule import AnswerRule, answer_rule
from lookalike.searching.chosen_run import SearchedRun, read_gallery_names
from lookalike.searching.image_files import ImageFile
from lookalike.text import shown_path

log = logging.getLogger(__name__)

_DECIMALS, _MOST_DECIMALS = 4, 17
# Answers whose names are looked up at once.
_ANSWERS_AT_ONCE = 40_960
# No key of an image: of a query that leaves nothing out, and of an item that nobody leaves out.
_NO_QUERY, _NO_ITEM = "\0query", "\0item"


@dataclass(frozen=True)
class Answer:
    """A gallery image found for a query.

    Attributes:
        query: the image that was looked for, as it was named.
        place: from 1, the nearest first.
        gallery_id: of the gallery image.
        label: its label.
        score: higher is nearer.
        accepted: whether the score reaches the run's threshold; None where there is none.
    """

    query: str
    place: int
    gallery_id: str
    label: str
    score: float
    accepted: bool | None


@dataclass(frozen=True)
class AnswerSet:
    """The nearest gallery images of n queries.

    Attributes:
        queries: n names.
        places: int64 [n, k], positions in the gallery, -1 beyond its end.
        scores: float32 [n, k].
        names: the gallery's columns `image_id`, `label` and `sha256`.
        threshold: the score from which on an answer is accepted.
        itself: by the number of a query, the gallery images that count as the query itself and are
            left out of its answers; of no other query is there one.
        exclude: what counts as that, see `AnswerRule`.
        of_gallery: whether the queries are the gallery, each left out of its own answers.
        promise: what holds of accepted answers, or why there is no threshold, see `AnswerRule`.
    """

    queries: Texts
    places: Int64s
    scores: Float32s
    names: dict[str, Texts]
    threshold: float | None
    itself: Mapping[int, Sequence[str]] = field(default_factory=dict)
    exclude: str = "none"
    of_gallery: bool = False
    promise: str = ""

    def __len__(self) -> int:
        return len(self.queries)

    def __iter__(self) -> Iterator[list[Answer]]:
        """The answers of each query, in order."""
        ids, labels = as_texts(self.names["image_id"]), as_texts(self.names["label"])
        queries = as_texts(self.queries)
        at_once = max(1, _ANSWERS_AT_ONCE // max(1, self.places.shape[1]))
        for start in range(0, len(self), at_once):
            rows = slice(start, start + at_once)
            places = self.places[rows]
            items = pa.array(np.maximum(places, 0).ravel())
            found = zip(
                places.ravel().tolist(),
                ids.take(items).to_pylist(),
                labels.take(items).to_pylist(),
                self.scores[rows].ravel().tolist(),
                strict=True,
            )
            for query in queries[rows].to_pylist():
                yield [
                    Answer(
                        query,
                        place,
                        gallery_id,
                        label,
                        score,
                        None if self.threshold is None else score >= self.threshold,
                    )
                    for place, (item, gallery_id, label, score) in enumerate(
                        islice(found, places.shape[1]), start=1
                    )
                    if item >= 0
                ]

    @property
    def decimals(self) -> int:
        """Digits behind the point by which a score reads as the threshold only where it equals it.

        Four, or as many more as the score next to the threshold takes.
        """
        if self.threshold is None:
            return _DECIMALS
        apart = self.scores[self.places >= 0].astype(float)
        apart = apart[apart != self.threshold]
        below, above = apart[apart < self.threshold], apart[apart > self.threshold]
        next_to_it = [
            *([below.max()] if len(below) else []),
            *([above.min()] if len(above) else []),
        ]
        for decimals in range(_DECIMALS, _MOST_DECIMALS):
            shown = round(self.threshold, decimals)
            if all(round(float(score), decimals) != shown for score in next_to_it):
                return decimals
        return _MOST_DECIMALS

    @property
    def has_none_accepted(self) -> NDArray[np.bool_]:
        """Whether no answer of a query reaches the threshold, or there is none: bool [n]."""
        if self.threshold is None:
            return np.zeros(len(self), np.bool_)
        first = np.where(self.places[:, 0] >= 0, self.scores[:, 0].astype(float), -np.inf)
        none_accepted: NDArray[np.bool_] = first < self.threshold
        return none_accepted

    @property
    def is_refused(self) -> NDArray[np.bool_]:
        """Whether a query is not in the gallery by the threshold: bool [n].

        No answer is accepted, and it is not known to be there itself.
        """
        refused = self.has_none_accepted & (not self.of_gallery)
        refused[list(self.itself)] = False
        return refused


def _answers(
    queries: Texts, places: Int64s, scores: Float32s, names: dict[str, Texts], rule: AnswerRule
) -> AnswerSet:
    return AnswerSet(
        queries, places, scores, names, rule.threshold, exclude=rule.exclude, promise=rule.promise
    )


class SearchedGallery:
    """The gallery of a run, opened to be searched."""

    def __init__(self, run: SearchedRun, rule: AnswerRule | None = None) -> None:
        """Open it; raises LookalikeError where the table is stale, damaged or empty.

        rule: what is left out and accepted; None takes what the run's files say.
        """
        self.run = run
        self.names = read_gallery_names(run, run.results)
        self.rule = rule or answer_rule(run, self.names)
        table, _ = open_table(run.gallery, "the gallery", ())
        require_rows(table, "search")
        # Nothing is relevant to anything: no label of one side is on the other.
        self._items = replace(
            table, labels=pa.repeat(pa.scalar("item", pa.string()), len(table.ids))
        )
        self._score = run.score

    def of_images(
        self, files: Sequence[ImageFile], sha256s: Sequence[str], vectors: Float32s, k: int
    ) -> AnswerSet:
        """The k nearest of new images; where the gallery has fewer items, all of them.

        What the run's metrics leave out for a query (`metrics.exclude`) is left out here: by the
        default the query's own file, under any name that links give it.

        Args:
            files: n files; without any there are no answers.
            sha256s: of their bytes.
            vectors: float32 [n, d], their embeddings by the run's model.
            k: from 1.
        """
        if not files:
            none = np.empty((0, min(k, len(self._items.ids))))
            places, scores = none.astype(np.int64), none.astype(np.float32)
            return _answers(as_texts([]), places, scores, self.names, self.rule)
        queries, _ = open_table(vectors, "the images", ())
        require_one_width(queries, self._items)
        asked, searched = self._keys(files, sha256s)
        names = as_texts([file.name for file in files])
        answers = self._nearest(names, queries, asked, searched, k)
        return replace(answers, itself=self._itself(as_texts(asked), as_texts(searched)))

    def of_itself(self, k: int) -> AnswerSet:
        """The k nearest of every gallery image, the image itself left out.

        Under `metrics.exclude: same_content` all images of its content are.
        """
        keys = self.names["sha256" if self.rule.exclude == "same_content" else "image_id"]
        answers = self._nearest(self.names["image_id"], self._items, keys, keys, k)
        return replace(answers, of_gallery=True)

    def _nearest(
        self, names: Texts, queries: EmbeddingTable, asked: Texts, searched: Texts, k: int
    ) -> AnswerSet:
        labels = pa.repeat(pa.scalar("query", pa.string()), len(queries.ids))
        queries = replace(queries, labels=labels, keys=asked)
        items = replace(self._items, keys=searched)
        shape = len(names), min(k, len(items.ids))
        places, scores = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
        for found in rank(queries, items, score=self._score, depth=shape[1]):
            places[found.queries], scores[found.queries] = found.places, found.scores
        return _answers(names, places, scores, self.names, self.rule)

    def _warn_of_unknown_ids(self, files: Sequence[ImageFile], folder: Path | None) -> None:
        """Say so where an image may have the id of a gallery image, if it is one of the queries."""
        ids = as_texts(self.names["image_id"])
        possible = [_possible_ids(file.path) for file in files]
        known = set(
            ids.filter(pc.is_in(ids, pa.array({*chain(*possible)}, pa.string()))).to_pylist()
        )
        n_like = sum(not known.isdisjoint(names) for names in possible)
        if n_like:
            log.warning(
                "warning: %d image(s) looked for are called as a gallery image is. Whether they "
                "are queries of the run, for which that one is left out (metrics.exclude: "
                "same_id), cannot be told: the folder of the queries %s. Run the workflow again: "
                "it notes where they lie",
                n_like,
                "is not known" if folder is None else f"{shown_path(folder)} is not there",
            )

    def _itself(self, asked: pa.StringArray, searched: pa.StringArray) -> dict[int, list[str]]:
        """By the number of a query, the gallery images that have its key."""
        rows = pc.indices_nonzero(pc.is_in(searched, value_set=asked.unique()))
        ids = as_texts(self.names["image_id"]).take(rows).to_pylist()
        by_key: defaultdict[str, list[str]] = defaultdict(list)
        for key, image_id in zip(searched.take(rows).to_pylist(), ids, strict=True):
            by_key[key].append(image_id)
        return {
            number: by_key[key] for number, key in enumerate(asked.to_pylist()) if key in by_key
        }

    def _keys(self, files: Sequence[ImageFile], sha256s: Sequence[str]) -> tuple[Texts, Texts]:
        """What queries and the gallery items that they leave out have in common."""
        exclude, hashes = self.rule.exclude, self.names["sha256"]
        nobody = pa.repeat(pa.scalar(_NO_ITEM, pa.string()), len(hashes))
        if exclude == "same_content":
            return list(sha256s), hashes
        if exclude == "same_id":
            ids, folder = self.names["image_id"], self.run.places.get("query")
            if folder is None or not folder.is_dir():
                self._warn_of_unknown_ids(files, folder)
            return [_id_in(folder, file.path) or _NO_QUERY for file in files], ids
        if exclude != "same_file":
            return [_NO_QUERY] * len(files), nobody
        # Only an item of a query's content can be its file: the others need not be looked at.
        alike = pc.is_in(hashes, value_set=pa.array(sorted(set(sha256s)), pa.string()))
        rows = np.flatnonzero(alike.to_numpy(zero_copy_only=False))
        if not len(rows):
            return [_NO_QUERY] * len(files), nobody
        folder = self.run.places.get("gallery")
        if folder is None or not folder.is_dir():
            log.warning(
                "warning: %d gallery images have the content of an image looked for. Whether one "
                "is the same file, which is left out, cannot be told: their folder %s. Name it by "
                "--gallery-folder",
                len(rows),
                "is not known" if folder is None else f"{shown_path(folder)} is not there",
            )
            return [_NO_QUERY] * len(files), nobody
        keys = np.full(len(hashes), _NO_ITEM, object)
        ids = as_texts(self.names["image_id"]).take(pa.array(rows)).to_pylist()
        keys[rows] = list(map(_as_text, resolved_files(folder, ids)))
        return [_as_text(os.path.realpath(file.path)) for file in files], pa.array(
            keys, pa.string()
        )


def _as_text(path: str) -> str:
    """A path as Arrow can hold it; folders above an image may have names that are not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _possible_ids(path: Path) -> list[str]:
    """All that a file may be called below one of the folders that it lies in."""
    parts = Path(_as_text(os.path.abspath(path))).parts[1:]  # noqa: PTH100
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _id_in(folder: Path | None, path: Path) -> str | None:
    """What a file is called below a folder; None outside of it."""
    if folder is None:
        return None
    for real in (os.path.abspath, os.path.realpath):
        inside = os.path.relpath(real(path), real(folder))
        if Path(inside).parts[0] != os.pardir:
            return Path(inside).as_posix()
    return None
