"""The bring step: embeddings from elsewhere take the place of those that `embed` would make."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike import __version__
from lookalike.embedding.given_tables import FittingTable, given_tables
from lookalike.embedding.tables import GIVEN_KEY, write_embeddings
from lookalike.errors import LookalikeError
from lookalike.jobs.preflight import require_room
from lookalike.retrieval.score_choice import choose_score
from lookalike.retrieval.tables import open_table
from lookalike.storage.files import write_json
from lookalike.text import shown_path

log = logging.getLogger(__name__)

_BYTES_AT_ONCE = 2**24


def bring_embeddings(
    recipe: str,
    files: Mapping[str, Path],
    manifests: Mapping[str, Path],
    outputs: Mapping[str, Path],
    summaries: Mapping[str, Path],
    score: str | None = None,
    *,
    labelled: bool = True,
) -> None:
    """Write embeddings from elsewhere as the workflow's own tables, in the manifest's order.

    Their metadata name, in place of a model, a digest of all that was given: so what is chosen by
    these embeddings is known to be of no others. Equal embeddings give equal bytes, whatever the
    order of the rows and the layout of the files.

    Args:
        recipe: its name, for messages.
        files: the table of `query` and of `gallery`.
        manifests: manifest/{split}.parquet of both.
        outputs: embeddings/{split}.parquet of both.
        summaries: embeddings/{split}.json of both: what was done.
        score: see `lookalike.embedding.given_tables.given_tables`.
        labelled: likewise.

    Raises:
        LookalikeError: see there.
    """
    started = time.monotonic()
    tables, score = given_tables(recipe, files, manifests, score, labelled=labelled)
    for split, table in tables.items():
        if table.n_left_out:
            log.info(
                "%s: %d rows are of %s images that the manifest leaves out, as in every run",
                shown_path(table.path),
                table.n_left_out,
                split,
            )
    # Says what rounding to float32 makes equal, and which embeddings have no direction.
    queries, gallery = (open_table(table.path, split, ())[0] for split, table in tables.items())
    choose_score(queries, gallery, score)
    n_bytes = 4 * sum(len(table) * table.width for table in tables.values())
    folder = next(iter(outputs.values())).parent
    require_room(folder, 2 * n_bytes, "embeddings from elsewhere", "results")
    with ExitStack() as stack:
        vectors = {
            split: stack.enter_context(_in_order(table, outputs[split]))
            for split, table in tables.items()
        }
        digest = _digest(tables, vectors, score)
        metadata = {
            "model_digest": digest,
            "image": None,
            "score": score,
            "version": __version__,
            GIVEN_KEY: True,
        }
        for split, table in tables.items():
            ids, labels, sha256s = (names.to_pylist() for names in table.names.values())
            write_embeddings(outputs[split], ids, labels, sha256s, vectors[split], metadata)
    for split, table in tables.items():
        done = {"images": len(table), "from_store": 0, "decoded": 0, "embedded": 0}
        seconds = round(time.monotonic() - started, 3)
        facts = {GIVEN_KEY: len(table), "seconds": seconds, "model_digest": digest}
        write_json(summaries[split], done | facts)
        log.info("%s: %d embeddings of %d values", shown_path(table.path), len(table), table.width)


@contextmanager
def _in_order(table: FittingTable, output: Path) -> Iterator[NDArray[np.float32]]:
    """The embeddings in the manifest's order, in a file: they may be more than memory holds.

    It lies beside the output and has no name, so that nothing leaves it behind.
    """
    shape = (len(table), table.width)
    n_bytes = 4 * shape[0] * shape[1]
    with ExitStack() as stack:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what could not be written would be tried again when it is closed.
            place = stack.enter_context(tempfile.TemporaryFile(buffering=0, dir=output.parent))
            # A file with holes in it would end the process where the disk has no room for them.
            left = n_bytes
            while left:
                left -= place.write(bytes(min(_BYTES_AT_ONCE, left)))
            vectors = np.memmap(place, np.float32, "r+", shape=shape)
        except OSError as error:
            raise LookalikeError(
                f"{shown_path(output)}: cannot be written: {error.strerror}. Nothing is lost: mend "
                "that, and the same command goes on from here"
            ) from error
        for at, some in table.blocks():
            vectors[at] = some
        yield vectors


def _digest(
    tables: Mapping[str, FittingTable], vectors: Mapping[str, NDArray[np.float32]], score: str
) -> str:
    """32 hexadecimal digits of names and embeddings, image by image, and of the score."""
    digest = hashlib.sha256(score.encode())
    for split, table in tables.items():
        rows = max(1, _BYTES_AT_ONCE // (4 * table.width))
        digest.update(f"\n{split} {len(table)} {table.width}\n".encode())
        digest.update("\0".join(table.names["image_id"].to_pylist()).encode())
        for start in range(0, len(table), rows):
            digest.update(vectors[split][start : start + rows].astype("<f4", copy=False).data)
    return digest.hexdigest()[:32]
