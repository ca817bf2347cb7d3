"""The disk fills up at any write: a clear error, nothing half-written, and the same bytes later."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from lookalike.config import merge
from lookalike.errors import LookalikeError
from lookalike.jobs import preflight, seals
from lookalike.jobs.preflight import lock_results
from lookalike.storage.files import HALF_WRITTEN, read_checked
from support.drawings import write_data
from support.snakemake_runs import QUICK, repeatable, snakemake, write_settings
from support.steps import STEPS, Case, Server, scored

NO_SPACE, TOO_LARGE = "No space left on device", "File too large"
PAGE = 4096  # tmpfs gives room by the page
DISK_MB, INODES = 64, 4000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.process.terminate()
    one.process.join()


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every step makes where there is room: a folder each."""
    here = tmp_path_factory.mktemp("undisturbed")
    write_data(here / "data")
    for path in (here / "data").rglob("*.png"):
        os.utime(path, (10**9, 10**9))  # the next scan need not doubt them
    scored(here / "scored")
    for name in STEPS:
        status, said = server.run(Case(name, here, here / name))
        assert status == 0, said
    return here


def content(path: Path) -> object:
    """What a file holds, but for how long it took and how much a cache knew."""
    if path.name == "history.parquet":
        return pq.read_table(path).drop_columns(["seconds", "images_per_second"]).to_pydict()
    if path.name.startswith(("gallery", "query")) and path.suffix == ".json":
        told = json.loads(path.read_bytes())
        return told["images"], told["model_digest"]
    if path.parent.name == "scan":  # in the order in which threads were done
        table, digest = path.read_bytes()[:-32], path.read_bytes()[-32:]
        assert hashlib.sha256(table).digest() == digest
        return sorted(pq.read_table(io.BytesIO(table)).to_pylist(), key=repr)
    return path.read_bytes()


def files_in(folder: Path) -> dict[str, Path]:
    """All files but seals, by their names in `folder`, hidden ones too."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != seals.SUFFIX
    }


def assert_whole(place: Path, undisturbed: Path) -> None:
    """Every file at an output's place, and in the caches, is whole, and so is every seal."""
    for kind in ("results", "cache"):
        expected = files_in(undisturbed / kind)
        for name, path in files_in(place / kind).items():
            if name.startswith("training/"):  # forgotten by one that ended
                assert load_file(path), name
                continue
            if name.startswith("speed/"):  # how fast it was is another time each time
                assert read_checked(path), name
                continue
            is_equal = content(path) == content(expected[name])
            assert is_equal, name  # pytest would show both files
    for path in (place / "results").rglob(f".*{seals.SUFFIX}"):
        sealed = path.with_name(path.name[1:].removesuffix(seals.SUFFIX))
        digest = hashlib.sha256(sealed.read_bytes()).hexdigest()
        assert json.loads(path.read_bytes())["sha256"] == digest


def assert_done(place: Path, undisturbed: Path) -> None:
    """All that an undisturbed run leaves is there, and nothing else."""
    assert_whole(place, undisturbed)
    for kind in ("results", "cache"):
        made, expected = (
            # One that was stopped does not keep how fast it was.
            [name for name in files_in(folder / kind) if not name.startswith("speed/")]
            for folder in (place, undisturbed)
        )
        assert made == expected
    outputs = [path for path in (place / "results").rglob("[!.]*") if path.is_file()]
    assert all(seals.seal_of(path).exists() for path in outputs)


def the_error(said: str, why: str, place: Path) -> str:
    """The file, below `place`, of which the one error says that it cannot be written."""
    assert "Traceback" not in said, said
    errors = re.findall(r"^\d\d:\d\d:\d\d error: (.*)$", said, re.MULTILINE)
    assert len(errors) == 1, said
    told = re.fullmatch(rf"(.+): cannot be written: {why}\. Nothing is lost: .*", errors[0])
    assert told, said
    named = told[1].removeprefix('"').removesuffix('"').removesuffix("...")  # a long one is cut
    assert named.startswith(f"{place}/"), said
    return re.sub(r"[0-9a-f]{8,}", "*", named.removeprefix(f"{place}/"))


def fails_and_ends_the_same(
    server: Server, case: Case, why: str, mend: Callable[[], object]
) -> str | None:
    """Run a case that may fail for want of room, mend that, and run it again.

    Returns: of which file it was said; None where there was room for all.
    """
    undisturbed = case.inputs / case.step
    status, said = server.run(case)
    named = None
    if status:
        assert status == 1, said
        named = the_error(said, why, case.place)
        assert_whole(case.place, undisturbed)
        log = case.place / "log.txt"
        assert not log.exists() or "Traceback" not in log.read_text()
    else:
        # Only the memory of a scan may be missing, and that is said.
        assert "error" not in said, said
        for name in STEPS[case.step].outputs:
            result = case.place / "results" / name
            assert content(result) == content(undisturbed / "results" / name)
            assert seals.seal_of(result).exists()
        assert_whole(case.place, undisturbed)
    mend()
    status, said = server.run(case._replace(largest=resource.RLIM_INFINITY))
    assert (status, re.findall("(?i)traceback|error|warning", said)) == (0, []), said
    assert_done(case.place, undisturbed)
    return named


class Disk:
    """A small disk of its own, which can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / "filler"
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={DISK_MB}m,nr_inodes={INODES}", "tmpfs")

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, self.folder], check=True, capture_output=True)

    @property
    def free(self) -> int:
        """Bytes."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def leave(self, n_bytes: int) -> None:
        """Fill it up to so much, in whole pages."""
        with self.filler.open("wb") as stream:
            if (taken := self.free - n_bytes) > 0:
                os.posix_fallocate(stream.fileno(), 0, taken)
        assert self.free == n_bytes

    def leave_files(self, count: int) -> None:
        """Let no more than so many files and folders be made."""
        status = os.statvfs(self.folder)
        made = status.f_files - status.f_ffree
        self._mount("-o", f"remount,nr_inodes={made + count}")

    def make_room(self) -> None:
        """As much as there is."""
        self.filler.unlink(missing_ok=True)
        self._mount("-o", f"remount,nr_inodes={INODES}")

    def new_place(self) -> Path:
        """An empty folder on an empty disk."""
        self.make_room()
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A disk at `folder`; the test is skipped where mounting is refused."""
    try:
        disk = Disk(folder)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk is refused here: it takes root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with mounted(tmp_path_factory.mktemp("small") / "disk") as one:
        yield one


@pytest.fixture(scope="module")
def pages_for(server: Server, disk: Disk, made: Path) -> Callable[[str], int]:
    """How many pages a step takes at most at one time, as seen from outside."""

    @cache
    def pages(step: str) -> int:
        place, before, least = disk.new_place(), disk.free, disk.free

        def look() -> None:
            nonlocal least
            least = min(least, disk.free)

        status, said = server.run(Case(step, made, place), look)
        assert status == 0, said
        assert_done(place, made / step)
        return (before - least) // PAGE

    return pages


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("more", [1, pytest.param(40, marks=pytest.mark.long)])
def test_a_step_on_a_full_disk_says_so_and_ends_the_same_once_there_is_room(
    server: Server,
    disk: Disk,
    made: Path,
    pages_for: Callable[[str], int],
    step: str,
    more: int,
) -> None:
    rng = random.Random(f"{step} {more}")
    pages = pages_for(step)
    named: Counter[str | None] = Counter()
    for room in (0, 1, *(rng.randint(2, pages) for _ in range(more))):
        case = Case(step, made, disk.new_place())
        disk.leave(room * PAGE)
        named[fails_and_ends_the_same(server, case, NO_SPACE, disk.make_room)] += 1
    print(f"{step}, up to {pages} pages: {dict(named)}")
    assert named.total() - named[None] >= 2


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("some", [0, pytest.param(40, marks=pytest.mark.long)])
def test_a_disk_that_takes_no_more_files_is_a_full_disk(
    server: Server, disk: Disk, made: Path, step: str, some: int
) -> None:
    rng = random.Random(f"{step} {some}")
    files = sum(1 for _ in (made / step).rglob("*"))
    named: Counter[str | None] = Counter()
    for count in (0, max(1, files - 3), *rng.sample(range(1, files), min(some, files - 1))):
        case = Case(step, made, disk.new_place())
        disk.leave_files(count)
        named[fails_and_ends_the_same(server, case, NO_SPACE, disk.make_room)] += 1
    print(f"{step}, up to {files} files: {dict(named)}")
    assert named.total() > named[None]


@pytest.mark.parametrize("step", STEPS)
def test_a_limit_on_the_size_of_files_is_a_full_disk(
    server: Server, made: Path, tmp_path: Path, step: str
) -> None:
    case = Case(step, made, tmp_path, largest=100)
    assert fails_and_ends_the_same(server, case, TOO_LARGE, lambda: None) is not None


@pytest.mark.parametrize("step", ["pixels", "train", "part", "embed"])
@pytest.mark.parametrize("more", [1, pytest.param(30, marks=pytest.mark.long)])
def test_what_is_refused_beforehand_would_not_have_fitted(
    server: Server,
    disk: Disk,
    made: Path,
    pages_for: Callable[[str], int],
    step: str,
    more: int,
) -> None:
    rng = random.Random(f"{step} {more}")
    pages = pages_for(step)
    refusals = 0
    for room in (0, *(rng.randint(1, pages) for _ in range(more))):
        case = Case(step, made, disk.new_place(), refuses=True)
        disk.leave(room * PAGE)
        status, said = server.run(case)
        refusal = re.search(r"error: (.*) would take some (.*) MB, and the disk has (.*) MB", said)
        if refusal:
            assert status == 1, said
            assert "Traceback" not in said, said
            assert float(refusal[2]) >= float(refusal[3])
            assert float(refusal[3]) <= room * PAGE / 1e6 + 0.1
            assert re.search(r"Free some, .*--config (cache|results)=", said)
            assert_whole(case.place, made / step)
            refusals += 1
            # Unasked, it fails.
            status, said = server.run(case._replace(refuses=False))
            the_error(said, NO_SPACE, case.place)
        assert status == 0 or refusal or the_error(said, NO_SPACE, case.place)
        disk.make_room()
        status, said = server.run(case)
        assert status == 0, said
        assert_done(case.place, made / step)
    assert refusals > 0


def test_a_run_holds_its_folder_on_a_full_disk_too(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_held", [])
    place = disk.new_place()
    disk.leave(0)
    lock_results(place)
    with pytest.raises(LookalikeError, match="another run is at work here"):
        lock_results(place)


@pytest.mark.parametrize("damaged", [False, True])
def test_damage_is_found_on_a_full_disk_too(disk: Disk, damaged: bool) -> None:
    result = disk.new_place() / "metrics.json"
    result.write_text("0.5")
    seals.seal([result])
    if damaged:
        result.write_text("0.9")
    long_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(seals.seal_of(result), (long_ago, long_ago))  # it is looked at anew
    disk.leave(0)
    assert seals.broken(seals.sealed(disk.folder)) == [result] * damaged


def test_a_loop_is_compiled_also_where_its_machine_code_cannot_be_kept(
    disk: Disk, tmp_path: Path
) -> None:
    program = (
        "from lookalike.compilation import compiled\n"
        "@compiled\n"
        "def double(number):\n"
        "    return 2 * number\n"
        "print(double(21))\n"
    )
    (tmp_path / "program.py").write_text(program)
    place = disk.new_place()
    disk.leave(0)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(place)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


@pytest.mark.workflow
@pytest.mark.long
@pytest.mark.parametrize(
    ("target", "rooms"),
    [
        ("results/default.0/embeddings/query.parquet", [0.5]),
        ("all", [0.0, 0.3, 0.6, 0.9]),
    ],
)
def test_a_pipeline_whose_disk_fills_up_says_so_and_goes_on_once_there_is_room(
    tmp_path: Path, target: str, rooms: list[float]
) -> None:
    """Room for the weights and for so much of all the rest; or for nothing."""
    recipes = {"default": {"epochs": 1, "validation": {"classes": 0}}}
    settings = merge(QUICK, {"data": {"root": str(tmp_path / "data")}, "recipes": recipes})
    write_data(tmp_path / "data")
    one = tmp_path / "undisturbed"
    write_settings(one, settings)
    run = snakemake(one, target)
    assert run.status == 0, run.output
    made = [name for name in repeatable("default.0") if (one / name).exists()]
    assert "results/default.0/embeddings/query.parquet" in made
    pages = {path: -(-path.stat().st_size // PAGE) for path in (one / "results").rglob("*")}
    weights = sum(pages[path] for path in pages if path.suffix == ".safetensors")
    for number, room in enumerate(rooms):
        folder = tmp_path / str(number)
        write_settings(folder, settings)
        with mounted(folder / "results") as full:
            rest = sum(pages.values()) - weights
            full.leave(int(weights + room * rest) * PAGE if room else 0)
            run = snakemake(folder, target)
            assert run.status != 0
            # A step says so, or Snakemake, which writes how long it took.
            said = rf"{NO_SPACE}|error: .* the disk has .* MB left"
            assert re.search(said, run.output), run.output
            assert "Traceback" not in run.output, run.output
            assert not list(full.folder.rglob(f".*{HALF_WRITTEN}"))
            for name in made:
                result = folder / name
                is_whole = not result.exists() or result.read_bytes() == (one / name).read_bytes()
                assert is_whole, name
            full.make_room()
            run = snakemake(folder, target)
            assert run.status == 0, run.output
            for name in made:
                is_equal = (folder / name).read_bytes() == (one / name).read_bytes()
                assert is_equal, name
