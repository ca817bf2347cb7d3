"""Seals of results against files that are changed behind their back."""

import os
import threading
import time
from pathlib import Path

import pytest

from lookalike.jobs import seals
from lookalike.jobs.seals import broken, seal, seal_of, sealed, unseal
from lookalike.jobs.step import step
from lookalike.storage.files import sha256_of_file

DAY = 24 * 60 * 60


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of three files, sealed."""
    for name in ("a.json", "run/b.parquet", "run/deep/c.bin"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        seal([path])
    return tmp_path


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_what_is_as_it_was_is_not_broken(results: Path) -> None:
    assert broken(sealed(results)) == []


@pytest.mark.parametrize("at", [0, 57, -1])
def test_one_flipped_bit_is_found(results: Path, at: int) -> None:
    path = results / "run" / "b.parquet"
    status = path.stat()
    flip(path, at)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert broken(sealed(results)) == [path]


@pytest.mark.parametrize("length", [0, 1, 599])
def test_a_file_cut_short_is_found(results: Path, length: int) -> None:
    os.truncate(results / "a.json", length)
    assert broken(sealed(results)) == [results / "a.json"]


def test_silent_damage_is_found_within_a_day(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A failing disk changes no time: so the seal is made to tell the times of the damaged file.
    path = results / "a.json"
    sha256 = sha256_of_file(path)
    flip(path, 3)
    seals._write(path, sha256, path.stat())
    assert broken(sealed(results)) == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY + 1)
    assert broken(sealed(results)) == [path]


def test_a_file_touched_or_moved_is_what_it_was(results: Path) -> None:
    os.utime(results / "a.json")
    results.rename(results.with_name("elsewhere"))
    assert broken(sealed(results.with_name("elsewhere"))) == []


def test_files_without_a_seal_gone_or_linked_are_left_alone(results: Path) -> None:
    (results / "new.json").write_text("new")
    (results / "a.json").unlink()
    shared = results.with_name("shared")
    shared.write_text("of another")
    (results / "run" / "b.parquet").unlink()
    (results / "run" / "b.parquet").symlink_to(shared)
    unseal([results / "run" / "deep" / "c.bin"])
    flip(results / "run" / "deep" / "c.bin", 0)
    assert broken(sealed(results)) == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "{}", '{"sha256": null, "n_bytes": 1, "changed_ns": 1}', '{"sha256": "ab"}'],
)
def test_a_damaged_seal_condemns_nothing(results: Path, content: str) -> None:
    seal_of(results / "a.json").write_text(content)
    assert broken(sealed(results)) == []


def test_a_look_that_overlaps_a_step_leaves_the_steps_seal(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hashed = results / "a.json", sha256_of_file

    def hash_slowly(file: Path) -> str:
        digest = hashed(file)
        if file == path:  # the step begins and ends while the old content is being hashed
            unseal([path])
            path.with_name("new").write_text("new content")
            path.with_name("new").replace(path)
            seals._write(path, hashed(path), path.stat())
        return digest

    os.utime(path)  # so that it is hashed
    monkeypatch.setattr(seals, "sha256_of_file", hash_slowly)
    assert broken(sealed(results)) == []
    monkeypatch.setattr(seals, "sha256_of_file", hashed)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY + 1)
    assert broken(sealed(results)) == []


def test_a_file_that_cannot_be_read_is_broken_and_one_that_vanishes_is_not(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"a.json": OSError(5, "Input/output error"), "b.parquet": FileNotFoundError()}

    def fail(file: Path) -> str:
        raise errors.get(file.name, FileNotFoundError())

    for path in results.rglob("[!.]*"):
        os.utime(path)
    monkeypatch.setattr(seals, "sha256_of_file", fail)
    assert broken(sealed(results)) == [results / "a.json"]


def test_a_look_need_not_write(results: Path) -> None:
    os.utime(results / "a.json")
    before = {path: path.read_bytes() for path in results.rglob(".*.seal")}
    assert broken(sealed(results), renew=False) == []
    assert {path: path.read_bytes() for path in results.rglob(".*.seal")} == before
    assert broken(sealed(results)) == []
    assert seal_of(results / "a.json").read_bytes() != before[seal_of(results / "a.json")]


def test_a_step_seals_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with step(None, [str(path)]):
        path.write_text("result")
    flip(path, 0)
    assert broken(sealed(tmp_path)) == [path]


def test_a_step_that_fails_leaves_no_seal(results: Path) -> None:
    path = results / "a.json"
    with pytest.raises(SystemExit), step(None, [str(path)]):
        raise ValueError
    assert not seal_of(path).exists()


def test_a_file_that_is_being_written_is_not_called_broken(results: Path) -> None:
    # Another run looks at the results while a step writes them, over and over.
    path, done = results / "a.json", threading.Event()

    def write() -> None:
        for number in range(300):
            unseal([path])
            beside = path.with_name("beside")
            beside.write_text(str(number))
            beside.replace(path)
            seal([path])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not done.is_set():
        assert broken(sealed(results)) == []
        looks += 1
    writer.join()
    assert looks > 10


def test_a_file_that_is_called_like_a_seal_of_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "..seal").touch()
    (tmp_path / ".seal").touch()
    assert seals.sealed(tmp_path) == []
