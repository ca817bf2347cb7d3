"""When a store's chunks are hashed: when they are new or changed, and once a day; not at each look.

Chunks as small as these would be read whole at any time, so the size up to which that is done is 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.storage import row_store as storing
from lookalike.storage.cache import DAY, entries, prune
from lookalike.storage.row_store import VERIFIED, Store
from support.processes import CONTEXT

CHUNKS, ROWS = 4, 50


def key(chunk: int, number: int) -> str:
    return hashlib.sha256(f"{chunk} {number}".encode()).hexdigest()


def opened(folder: Path) -> Store:
    return Store(folder, (100,), np.dtype(np.float32))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The chunks that are hashed, by what they hash to."""
    monkeypatch.setattr(storing, "SMALL", 0)
    seen: list[str] = []
    name_of = storing._name_of

    def counted(*content: Any) -> str:
        seen.append(name_of(*content))
        return seen[-1]

    monkeypatch.setattr(storing, "_name_of", counted)
    return seen


@pytest.fixture
def folder(tmp_path: Path, hashed: list[str]) -> Path:
    """A store of four chunks, as a job leaves it."""
    place = tmp_path / "pixels" / "0123456789abcdef"
    kept = opened(place)
    for chunk in range(CHUNKS):
        rows = np.full((ROWS, 100), chunk, np.float32)
        kept.add([key(chunk, number) for number in range(ROWS)], rows)
    kept.remember()
    hashed.clear()
    return place


def flip(path: Path) -> None:
    """Change one bit in the middle; name, size and modification time stay."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def chunks(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def require_whole(found: Store) -> None:
    for chunk in range(CHUNKS):
        rows = found.read([key(chunk, number) for number in range(ROWS)])
        assert np.array_equal(rows, np.full((ROWS, 100), chunk, np.float32))


def test_what_a_job_wrote_is_not_hashed_by_those_who_open_it(
    folder: Path, hashed: list[str]
) -> None:
    for _ in range(3):
        require_whole(opened(folder))
    assert hashed == []


def test_what_nobody_noted_is_hashed_once(folder: Path, hashed: list[str]) -> None:
    (folder / VERIFIED).unlink()
    opened(folder)
    assert sorted(hashed) == [path.stem for path in chunks(folder)]
    opened(folder)
    assert len(hashed) == CHUNKS


def test_a_changed_chunk_is_hashed_and_the_others_are_not(
    folder: Path, hashed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    spoilt = chunks(folder)[2]
    flip(spoilt)
    found = opened(folder)
    assert len(hashed) == 1
    assert spoilt.stem not in hashed
    assert len(list(found)) == (CHUNKS - 1) * ROWS
    assert str(spoilt) in caplog.text
    # It is never taken for sound by having been looked at.
    hashed.clear()
    assert len(list(opened(folder))) == (CHUNKS - 1) * ROWS
    assert len(hashed) == 1


def test_damage_that_no_file_system_tells_of_is_found_within_a_day(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = chunks(folder)[1]
    flip(spoilt)
    looks = json.loads((folder / VERIFIED).read_text())
    looks[spoilt.name][1] = spoilt.stat().st_ctime_ns
    (folder / VERIFIED).write_text(json.dumps(looks))
    opened(folder)
    assert hashed == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY + 1)
    assert len(list(opened(folder))) == (CHUNKS - 1) * ROWS
    assert len(hashed) == CHUNKS
    # The sound ones are trusted for another day.
    opened(folder)
    assert len(hashed) == CHUNKS + 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-5],
        lambda text: "[]",
        lambda text: '{"a.arrow": 1}',
        lambda text: text.replace("[", '["x", '),
        lambda text: "1" * 5000,
        lambda text: "[" * 100_000,
        lambda text: json.dumps(
            {name: [n, changed + 1, at] for name, (n, changed, at) in json.loads(text).items()}
        ),
        lambda text: json.dumps(
            {
                name: [n, changed, at + 10 * DAY]
                for name, (n, changed, at) in json.loads(text).items()
            }
        ),
    ],
)
def test_a_damaged_note_costs_hashing_and_nothing_else(
    folder: Path, hashed: list[str], spoil: Callable[[str], str]
) -> None:
    (folder / VERIFIED).write_text(spoil((folder / VERIFIED).read_text()))
    require_whole(opened(folder))
    assert len(hashed) == CHUNKS
    opened(folder)
    assert len(hashed) == CHUNKS


def test_reading_makes_chunks_young_and_hashes_none(folder: Path, hashed: list[str]) -> None:
    for path in chunks(folder):
        os.utime(path, (time.time() - 30 * DAY,) * 2)
    opened(folder)
    assert len(hashed) == CHUNKS
    hashed.clear()
    some = opened(folder)
    some.read([key(1, 0), key(3, 7)])
    assert prune(folder.parent.parent, older_than_days=15)[0] == CHUNKS - 2
    opened(folder)
    assert hashed == []


def test_a_long_job_keeps_what_it_uses_young(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = opened(folder).rows([key(0, 0), key(2, 0)])
    for path in chunks(folder):
        os.utime(path, (time.time() - 30 * DAY,) * 2)
    later = time.monotonic() + 2 * 60 * 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert np.array_equal(rows[:][:, 0], [0, 2])
    assert prune(folder.parent.parent, older_than_days=15)[0] == CHUNKS - 2


def mark(folder: Path, chunk: int) -> None:
    """A job of another process: reads one chunk."""
    opened(folder).read([key(chunk, 0)])


def test_jobs_that_read_side_by_side_note_for_one_another(folder: Path, hashed: list[str]) -> None:
    first = opened(folder)
    for path in chunks(folder):
        before = path.stat()
        looks = json.loads((folder / VERIFIED).read_text())
        os.utime(path, (time.time() - DAY / 2,) * 2)
        assert looks[path.name][1] == before.st_ctime_ns
        looks[path.name][1] = path.stat().st_ctime_ns
        (folder / VERIFIED).write_text(json.dumps(looks))
    for chunk in range(CHUNKS - 1):
        job = CONTEXT.Process(target=mark, args=(folder, chunk))
        job.start()
        job.join()
        assert job.exitcode == 0
    first.read([key(CHUNKS - 1, 0)])
    hashed.clear()
    require_whole(opened(folder))
    assert hashed == []


def test_the_note_forgets_what_was_pruned_and_counts_as_the_caches(
    folder: Path, hashed: list[str]
) -> None:
    chunks(folder)[0].unlink()
    flipped = chunks(folder)[0]
    content = flipped.read_bytes()
    flipped.unlink()
    opened(folder)
    flipped.write_bytes(content)
    opened(folder)
    looks = json.loads((folder / VERIFIED).read_text())
    assert sorted(looks) == [path.name for path in chunks(folder)]
    cache = folder.parent.parent
    assert sum(one.n_bytes for one in entries(cache)) == sum(
        path.stat().st_size for path in folder.iterdir()
    )
    prune(cache, older_than_days=0)
    assert list(folder.iterdir()) == []


def test_a_note_that_cannot_be_kept_stops_nothing(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (folder / VERIFIED).unlink()
    monkeypatch.setattr(storing, "write_text", full)
    require_whole(opened(folder))
    assert len(hashed) == CHUNKS


def test_a_small_chunk_is_hashed_whenever_it_is_read(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "SMALL", 10**6)
    opened(folder)
    assert len(hashed) == CHUNKS
