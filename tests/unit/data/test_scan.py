"""The scan of files: what it says of each, and what work its cache saves."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.data import scan as scanning
from lookalike.data import scan_memory
from lookalike.data.near_duplicates import appearance_of
from lookalike.data.scan import Scanned
from lookalike.images.decoding import open_rgb
from support.scan_counts import Counters, scan

LONG_AGO = 1_600_000_000_000_000_000


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return settled(path)


def settled(path: Path, later: int = 0) -> Path:
    """Give a file a time long past, so that its stamp can be trusted."""
    os.utime(path, ns=(LONG_AGO + later, LONG_AGO + later))
    return path


def names_in(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def counters_of(root: Path, cache: Path | None, threads: int = 2) -> Counters:
    return scan(names_in(root), root, cache=cache, threads=threads)[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(5):
        picture(tmp_path / "data" / f"{number}.png", number)
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_says_what_a_plain_reader_finds(root: Path) -> None:
    seen, counters = scan(["1.png"], root, cache=None, threads=1)
    content = (root / "1.png").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    look = appearance_of(open_rgb(content, "white"))
    assert look
    assert seen == {"1.png": Scanned(sha256, len(content), 6, 4, "PNG", "ok", None, look)}
    assert counters == Counters(files=1, hashed=1, decoded=1, from_cache=0)


def test_width_and_height_are_as_shown(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(root / "turned.jpg", exif=exif)
    seen = scan(["turned.jpg"], root, cache=None, threads=1)[0]["turned.jpg"]
    assert (seen.width, seen.height, seen.format) == (20, 30, "JPEG")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def open_socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    # A socket's path may be 108 bytes long; a test's folder is often longer.
    here = Path.cwd()
    os.chdir(path.parent)
    server.bind(path.name)
    os.chdir(here)
    server.close()


@pytest.mark.parametrize(
    ("make", "status", "says"),
    [
        (lambda path: None, "missing_file", "no such file"),
        (lambda path: path.symlink_to("nowhere"), "missing_file", "link"),
        (lambda path: path.symlink_to(path), "unreadable", "symbolic links"),
        (lambda path: path.mkdir(), "not_a_file", "folder"),
        (fifo, "not_a_file", "named pipe"),
        (open_socket, "not_a_file", "socket"),
        (lambda path: path.symlink_to("/dev/zero"), "not_a_file", "device"),
        (lambda path: path.write_bytes(b""), "empty_file", "no bytes"),
        (lambda path: path.write_bytes(b"text"), "not_an_image", "first bytes"),
    ],
)
def test_what_cannot_be_used_neither_hangs_nor_raises(
    root: Path, cache: Path, make: Callable[[Path], Any], status: str, says: str
) -> None:
    make(root / "odd")
    for _ in range(2):
        seen = scan(["odd", "1.png"], root, cache=cache, threads=2)[0]
        assert seen["odd"].status == status
        assert says in str(seen["odd"].detail)
        assert seen["1.png"].status == "ok"


@pytest.mark.parametrize("name", ["x" * 300, "1.png/2.png", "no/such/folder.png"])
def test_names_that_no_file_can_have_are_missing(root: Path, name: str) -> None:
    assert scan([name], root, cache=None, threads=1)[0][name].status == "missing_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(root: Path) -> None:
    (root / "1.png").chmod(0)
    assert scan(["1.png"], root, cache=None, threads=1)[0]["1.png"].status == "unreadable"


class TestCache:
    def test_an_untouched_file_is_not_read(self, root: Path, cache: Path) -> None:
        assert counters_of(root, cache) == Counters(5, hashed=5, decoded=5, from_cache=0)
        assert counters_of(root, cache) == Counters(5, hashed=0, decoded=0, from_cache=5)

    def test_a_touched_file_is_hashed_and_not_decoded(self, root: Path, cache: Path) -> None:
        counters_of(root, cache)
        settled(root / "2.png", later=1)
        assert counters_of(root, cache) == Counters(5, hashed=1, decoded=0, from_cache=4)

    def test_a_renamed_file_is_not_decoded(self, root: Path, cache: Path) -> None:
        counters_of(root, cache)
        (root / "2.png").rename(root / "new.png")
        assert counters_of(root, cache) == Counters(5, hashed=1, decoded=0, from_cache=4)

    def test_an_edited_file_of_equal_size_is_seen(self, root: Path, cache: Path) -> None:
        before = scan(names_in(root), root, cache=cache, threads=1)[0]
        content = bytearray((root / "2.png").read_bytes())
        content[-1] ^= 1
        (root / "2.png").write_bytes(content)
        settled(root / "2.png", later=1)
        after, counters = scan(names_in(root), root, cache=cache, threads=1)
        assert counters == Counters(5, hashed=1, decoded=1, from_cache=4)
        assert [name for name in before if before[name] != after[name]] == ["2.png"]

    def test_files_of_one_size_and_time_that_trade_names_are_seen(
        self, root: Path, cache: Path
    ) -> None:
        for number in (1, 2):
            Image.new("L", (4, 4), number).save(root / f"{number}.bmp")
            settled(root / f"{number}.bmp")
        (root / "linked").symlink_to("one")
        for folder, number in {"one": 3, "two": 4}.items():
            (root / folder).mkdir()
            Image.new("L", (4, 4), number).save(root / folder / "x.bmp")
            settled(root / folder / "x.bmp")
        names = ["1.bmp", "2.bmp", "linked/x.bmp"]
        scan(names, root, cache=cache, threads=1)
        (root / "1.bmp").rename(root / "aside")
        (root / "2.bmp").rename(root / "1.bmp")
        (root / "aside").rename(root / "2.bmp")
        (root / "linked").unlink()
        (root / "linked").symlink_to("two")
        seen, _ = scan(names, root, cache=cache, threads=1)
        for name in names:
            assert seen[name].sha256 == hashlib.sha256((root / name).read_bytes()).hexdigest()
        assert scan(names, root, cache=cache, threads=1)[1] == Counters(3, 0, 0, 3)

    def test_a_file_ahead_of_the_clock_is_remembered(self, root: Path, cache: Path) -> None:
        ahead = time.time_ns() + 6 * 3600 * 10**9
        os.utime(root / "1.png", ns=(ahead, ahead))
        scan(["1.png"], root, cache=cache, threads=1)
        assert scan(["1.png"], root, cache=cache, threads=1)[1] == Counters(1, 0, 0, 1)

    def test_copies_are_decoded_once(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(200):
            (root / f"copy{number}.png").write_bytes((root / "1.png").read_bytes())
        calls: list[Any] = []

        def counted(stream: Any, background: str) -> Image.Image:
            calls.append(stream)
            return open_rgb(stream, background)

        monkeypatch.setattr(scanning, "open_rgb", counted)
        assert counters_of(root, None, threads=8) == Counters(205, 205, decoded=5, from_cache=0)
        assert len(calls) == 5

    def test_a_fresh_file_is_not_trusted_by_its_time(self, root: Path, cache: Path) -> None:
        now = time.time_ns()
        os.utime(root / "2.png", ns=(now, now))
        counters_of(root, cache)
        # Edited within the same tick of the clock: size and time say nothing.
        content = bytearray((root / "2.png").read_bytes())
        content[-1] ^= 1
        (root / "2.png").write_bytes(content)
        os.utime(root / "2.png", ns=(now, now))
        seen = scan(names_in(root), root, cache=cache, threads=1)[0]
        assert seen["2.png"].sha256 == hashlib.sha256(content).hexdigest()

    def test_two_roots_share_what_was_decoded_only(self, root: Path, cache: Path) -> None:
        counters_of(root, cache)
        other = root.parent / "other"
        for number in range(5):
            picture(other / f"{number}.png", number + (number == 4))
        assert counters_of(other, cache) == Counters(5, hashed=5, decoded=1, from_cache=0)
        assert counters_of(root, cache) == Counters(5, hashed=0, decoded=0, from_cache=5)

    def test_bad_files_are_remembered_too(self, root: Path, cache: Path) -> None:
        (root / "2.png").write_bytes(b"text")
        settled(root / "2.png")
        first = scan(names_in(root), root, cache=cache, threads=1)[0]
        second, counters = scan(names_in(root), root, cache=cache, threads=1)
        assert first == second
        assert counters == Counters(5, hashed=0, decoded=0, from_cache=5)

    def test_a_failing_moment_is_not_remembered(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_memory(*_: object) -> None:
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr("PIL.ImageFile.ImageFile.load", no_memory)
            seen = scan(names_in(root), root, cache=cache, threads=1)[0]
            assert {found.status for found in seen.values()} == {"unreadable"}
        seen = scan(names_in(root), root, cache=cache, threads=1)[0]
        assert {found.status for found in seen.values()} == {"ok"}

    def test_what_changes_while_it_is_looked_at_is_not_remembered(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, whole = root / "2.png", (root / "2.png").read_bytes()
        (root / "3.png").write_bytes(whole)  # the same content, which is whole here
        verified_at: list[bytes] = []

        def cut_short_first(stream: Any, background: str) -> Any:
            if stream.read() == whole and whole not in verified_at:
                verified_at.append(whole)
                path.write_bytes(whole[:-30])
            stream.seek(0)
            return open_rgb(stream, background)

        with monkeypatch.context() as patched:
            patched.setattr(scanning, "open_rgb", cut_short_first)
            seen = scan(names_in(root), root, cache=cache, threads=1)[0]
        assert (seen["2.png"].status, seen["3.png"].status) == ("unreadable", "ok")
        assert "changed meanwhile" in str(seen["2.png"].detail)
        path.write_bytes(whole)
        seen = scan(names_in(root), root, cache=cache, threads=1)[0]
        assert {found.status for found in seen.values()} == {"ok"}

    def test_other_formats_decode_again(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counters_of(root, cache)
        monkeypatch.setattr(scanning, "FORMATS", ("PNG",))
        assert counters_of(root, cache) == Counters(5, hashed=0, decoded=5, from_cache=0)

    def test_another_reader_version_decodes_again(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counters_of(root, cache)
        monkeypatch.setattr(scanning, "module_digest", lambda *_, **__: "other code")
        assert counters_of(root, cache) == Counters(5, hashed=0, decoded=5, from_cache=0)

    def test_a_writer_in_between_loses_nothing(
        self, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = picture(root.parent / "other" / "9.png", 9).parent
        save = scan_memory.Memory.save

        def save_late(memory: Any, *args: Any) -> None:
            monkeypatch.setattr(scan_memory.Memory, "save", save)
            counters_of(other, cache)  # another run, from start to end, before this one writes
            save(memory, *args)

        monkeypatch.setattr(scan_memory.Memory, "save", save_late)
        counters_of(root, cache)
        assert counters_of(root, cache).decoded == 0
        assert counters_of(other, cache).decoded == 0

    @pytest.mark.parametrize("junk", [b"", b"junk", b"PAR1" * 20])
    def test_a_damaged_cache_costs_only_work(self, root: Path, cache: Path, junk: bytes) -> None:
        expected = scan(names_in(root), root, cache=cache, threads=1)[0]
        for path in (cache / "scan").iterdir():
            path.write_bytes(junk)
        seen, counters = scan(names_in(root), root, cache=cache, threads=1)
        assert seen == expected
        assert counters.decoded == 5
        assert counters_of(root, cache).from_cache == 5

    def test_a_cache_that_cannot_be_written_is_said(
        self, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        assert counters_of(root, tmp_path / "file").decoded == 5
        assert "cannot be remembered" in caplog.text


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_result_does_not_depend_on_threads_or_cache(
    root: Path, cache: Path, threads: int
) -> None:
    expected = scan(names_in(root), root, cache=None, threads=1)[0]
    names = list(reversed(names_in(root))) * 2
    for _ in range(2):
        assert scan(names, root, cache=cache, threads=threads)[0] == expected
