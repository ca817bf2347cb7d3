"""What `lookalike search` and `lookalike embed` do."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from lookalike import __version__
from lookalike.embedding.tables import write_embeddings
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.preflight import require_room
from lookalike.searching.answers import AnswerSet, SearchedGallery
from lookalike.searching.chosen_run import SearchedRun, open_run
from lookalike.searching.free_places import require_free_place
from lookalike.searching.image_files import folder_images, named_images
from lookalike.searching.new_images import ImageEmbedder, LeftOut, NewImages
from lookalike.searching.output import write_as_csv, write_as_json, write_as_table
from lookalike.searching.page import MOST_PICTURES, write_page
from lookalike.searching.verdicts import verdicts
from lookalike.storage.files import nearest_there
from lookalike.text import shown_path

log = logging.getLogger(__name__)

WRITERS: dict[str, Callable[[AnswerSet, TextIO], None]] = {
    "table": write_as_table,
    "json": write_as_json,
    "csv": write_as_csv,
}
"""How answers are written on standard output."""


@dataclass(frozen=True)
class SearchSettings:
    """How a search is done.

    Attributes:
        run: its name; None takes the one that the report shows first, or the only one.
        k: answers for each image.
        form: `table`, `json` or `csv`, on standard output.
        page: an HTML file in place of that.
        device: where images are embedded; ranking is the CPU's, as that of the metrics.
        on_bad: `skip` or `fail`, see `lookalike.searching.new_images.LeftOut`.
        gallery_folder: where the gallery's images lie, should they have moved.
        among: a table of `lookalike embed` to search in place of the run's gallery.
    """

    run: str | None = None
    k: int = 10
    form: str = "table"
    page: Path | None = None
    device: str = "auto"
    on_bad: str = "skip"
    gallery_folder: Path | None = None
    among: Path | None = None

    def open_run(self, results: Path) -> SearchedRun:
        """What is searched; raises LookalikeError, see `open_run`."""
        return open_run(results, self.run, gallery_folder=self.gallery_folder, among=self.among)


def search_images(results: Path, sources: Iterable[str], settings: SearchSettings) -> None:
    """Look for images in the gallery of a run, and write what was found.

    Args:
        results: the results folder.
        sources: files, folders, or `-` for names on standard input.
        settings: how to do it.

    Raises:
        LookalikeError: something cannot be used; where it is some of the images, after the others
            have been answered.
    """
    run = settings.open_run(results)
    run.require_model("new images cannot be embedded; --gallery-itself searches its own")
    files = named_images(sources, sys.stdin.buffer)
    require_output(settings.page, "--html", run, [file.path for file in files])
    gallery = SearchedGallery(run)
    left_out = LeftOut(settings.on_bad)
    parts = list(ImageEmbedder(run.weights, settings.device).embed(files, left_out))
    images = NewImages(
        [file for part in parts for file in part.files],
        [sha256 for part in parts for sha256 in part.sha256s],
        np.concatenate([part.vectors for part in parts])
        if parts
        else np.empty((0, run.model["model"]["embedding_dim"]), np.float32),
    )
    answers = gallery.of_images(images.files, images.sha256s, images.vectors, settings.k)
    pictures = {
        file.name: (file.path, sha256)
        for file, sha256 in zip(images.files, images.sha256s, strict=True)
    }
    # Also where there are no answers: what an earlier search wrote would be taken for these.
    _write(answers, run, settings, pictures, left_out.bad)
    left_out.require_none(len(images.files))


def search_gallery_itself(results: Path, settings: SearchSettings) -> None:
    """Look for every gallery image of a run among the others; nothing is embedded.

    Raises:
        LookalikeError: something cannot be used.
    """
    run = settings.open_run(results)
    require_output(settings.page, "--html", run, [])
    gallery = SearchedGallery(run)
    answers = gallery.of_itself(settings.k)
    pictures = {}
    if settings.page is not None:
        folder = run.places.get("gallery", Path())
        pictures = {
            str(name): (folder / str(name), str(sha256))
            for name, sha256 in zip(gallery.names["image_id"], gallery.names["sha256"], strict=True)
        }
    _write(answers, run, settings, pictures)


def embed_folder(
    results: Path, folder: Path, out: Path, *, run: str | None, device: str, on_bad: str
) -> None:
    """Write the embeddings table of the images below a folder, by the model of a run.

    Its columns are those of the workflow's tables, `label` empty: nobody has said any. An image has
    the bytes that the workflow gives it. The table appears whole or not at all.

    Args:
        results: the results folder.
        folder: of the images; they are called by their path inside of it.
        out: the parquet file to write.
        run: name of the run; None takes the one that the report shows first, or the only one.
        device: where to embed.
        on_bad: `skip` or `fail`.

    Raises:
        LookalikeError: something cannot be used; where it is some of the images, after the table
            of the others has been written.
    """
    chosen = open_run(results, run)
    chosen.require_model("images cannot be embedded")
    files = folder_images(folder)
    require_output(out, "--out", chosen, [file.path for file in files])
    embedder = ImageEmbedder(chosen.weights, device)
    width = int(chosen.model["model"]["embedding_dim"])
    left_out = LeftOut(on_bad)
    ids: list[str] = []
    sha256s: list[str] = []
    place = nearest_there(out.absolute().parent)
    require_room(place, 2 * 4 * width * len(files), f"{len(files):,} embeddings", None)
    # How many rows there will be is known at the end, and they may be more than memory holds.
    with _naming_the_disk(out), tempfile.TemporaryFile(dir=place) as rows:
        for part in embedder.embed(files, left_out):
            ids += [file.name for file in part.files]
            sha256s += part.sha256s
            rows.write(np.ascontiguousarray(part.vectors).data)
        rows.flush()
        if not ids:
            left_out.require_none(0)
            raise LookalikeError(f"{shown_path(folder)}: there are no images in it")
        vectors = np.memmap(rows, np.float32, "r", shape=(len(ids), width))
        metadata = {
            "model_digest": chosen.digest,
            "image": ImageSettings.from_dict(chosen.model["image"]).to_dict(),
            "score": chosen.score,
            "version": __version__,
        }
        # For a search among these, which shows them. Not every path is text.
        with suppress(UnicodeEncodeError):
            metadata["folder"] = os.fspath(folder.absolute()).encode().decode()
        labels = cast(Sequence[str], [None] * len(ids))
        write_embeddings(out, ids, labels, sha256s, vectors, metadata)
    log.info("%s: the embeddings of %d images by %s", shown_path(out), len(ids), chosen.name)
    left_out.require_none(len(ids))


def _write(
    answers: AnswerSet,
    run: SearchedRun,
    settings: SearchSettings,
    pictures: dict[str, tuple[Path, str]],
    n_bad: int = 0,
) -> None:
    if settings.page is None:
        _print(answers, settings.form)
    else:
        n_shown = write_page(settings.page, answers, run, pictures, n_bad)
        if n_shown < len(answers):
            log.warning(
                "warning: %s has the first %d of %d images, since it holds %d pictures at the "
                "most; --json or --csv give all",
                shown_path(settings.page),
                n_shown,
                len(answers),
                MOST_PICTURES,
            )
        log.info("wrote %s", shown_path(settings.page))
    for line in verdicts(answers, run.name):
        log.info("%s", line)


def _print(answers: AnswerSet, form: str) -> None:
    """Write to standard output, in UTF-8 whatever the locale: names are of any script."""
    sys.stdout.flush()
    stream = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
    try:
        WRITERS[form](answers, stream)
        stream.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; what is left in the buffers goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise LookalikeError(f"the answers cannot be written: {error.strerror}") from error
    finally:
        stream.detach()


def require_output(
    output: Path | None, option: str, run: SearchedRun, inputs: Iterable[Path]
) -> None:
    """See that an output can be written and takes the place of nothing but an earlier one."""
    if output is None:
        return
    try:
        if output.is_dir():
            raise LookalikeError(
                f"{shown_path(output)}: is a folder; {option} takes the file to write"
            )
        here = os.path.realpath(output)
        place = nearest_there(output.absolute().parent)
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise LookalikeError(f"{shown_path(output)}: cannot be written in {shown_path(place)}")
        if output.exists() and any(os.path.realpath(path) == here for path in inputs):
            raise LookalikeError(
                f"{shown_path(output)}: is one of the images, and would be overwritten; name "
                f"another {option}"
            )
        require_free_place(output, option, run)
    except (OSError, ValueError) as error:  # too long a name, NUL
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(output)}: cannot be written: {why}") from error


@contextmanager
def _naming_the_disk(output: Path) -> Iterator[None]:
    """Say what could not be written where the rows that are kept meanwhile find no room."""
    try:
        yield
    except OSError as error:
        raise LookalikeError(
            f"{shown_path(output)}: cannot be written: {error.strerror}"
        ) from error
