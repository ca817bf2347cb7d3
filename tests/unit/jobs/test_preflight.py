"""What must be so before work begins, against real folders, locks and disks."""

import fcntl
import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lookalike.errors import LookalikeError
from lookalike.jobs.preflight import (
    LOCK,
    give_present_time,
    lock_results,
    require_folder,
    require_open,
    require_room,
    require_writable,
)
from lookalike.storage.files import whole
from support import processes


def hold_and_wait(results: Path) -> None:
    lock_results(results)
    (results / "held").touch()
    time.sleep(60)


def refused(results: Path) -> None:
    with pytest.raises(LookalikeError, match="another run is at work here"):
        lock_results(results)


def held_again(results: Path) -> None:
    lock_results(results)


def test_a_results_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    first = processes.start(hold_and_wait, tmp_path)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(LookalikeError) as caught:
        lock_results(tmp_path)
    for part in (str(tmp_path), f"process {first.pid} on", "--config results="):
        assert part in str(caught.value)
    first.kill()  # however it ends
    first.join()
    assert processes.exit_code(processes.start(held_again, tmp_path)) == 0


def hold_as_nobody(results: Path, is_held: bool) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    if is_held:
        with pytest.raises(LookalikeError, match="another run is at work here"):
            lock_results(results)
    else:
        lock_results(results)


def test_a_lock_that_another_user_made_holds_and_can_be_held() -> None:
    # Not below pytest's own folder: only its owner may look into that.
    with TemporaryDirectory() as folder:
        results = Path(folder)
        results.chmod(0o755)
        first = processes.start(hold_and_wait, results)
        while not (results / "held").exists():
            time.sleep(0.01)
        assert processes.exit_code(processes.start(hold_as_nobody, results, True)) == 0
        first.kill()
        first.join()
        assert processes.exit_code(processes.start(hold_as_nobody, results, False)) == 0


def test_a_folder_is_made_and_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b", "results")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LookalikeError, match=r"file/results: cannot be written.*--config cache="):
        require_writable(tmp_path / "file" / "results", "cache")


def write_as_nobody(folder: Path) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    with pytest.raises(LookalikeError, match="cannot be written: Permission denied"):
        require_writable(folder, "results")
    message = "cannot be written: Permission denied"
    with pytest.raises(LookalikeError, match=message), whole(folder / "file.json"):
        pass


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert processes.exit_code(processes.start(write_as_nobody, tmp_path)) == 0


def refused_as_nobody(paths: list[Path], all_inside: bool, closed: Path | None) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    inside = (lambda path: True) if all_inside else None
    if closed is None:
        require_open(paths, "cache", inside=inside)
        return
    with pytest.raises(LookalikeError) as caught:
        require_open(paths, "cache", inside=inside)
    for part in (f"{closed}: cannot be read", "belongs to", "chmod -R g+rwX", "--config cache="):
        assert part in str(caught.value)


@pytest.mark.parametrize("mode", [0o700, 0o755])
@pytest.mark.parametrize("closed", ["", "a", "a/b", "a/b/file"])
def test_what_another_user_has_closed_is_told(closed: str, mode: int) -> None:
    # Not below pytest's own folder: only its owner may look into that.
    with TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "a" / "b").mkdir(parents=True)
        (top / "a" / "b" / "file").touch()
        for path in (top, *top.rglob("*")):
            path.chmod(0o777)
        path = top / closed
        # As umask 077 and 022 leave things; one's own need other modes.
        own = os.geteuid() != 0
        path.chmod(mode & 0o555 if own and mode == 0o755 else 0 if own else mode)
        readable = path.is_file() and mode == 0o755
        expected = None if readable else path
        try:
            for paths, inside in (([top / "none", top], True), ([path], False)):
                child = processes.start(refused_as_nobody, paths, inside, expected)
                assert processes.exit_code(child) == 0
        finally:
            path.chmod(0o755)


def test_results_dated_ahead_of_the_clock_get_the_present_time(tmp_path: Path) -> None:
    times = {"late": 6 * 3600, "a little late": 40, "now": 0, "old": -3600}
    for name, seconds in times.items():
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (time.time() + seconds,) * 2)
    before = (tmp_path / "old").stat().st_mtime_ns
    paths = [tmp_path / name for name in (*times, "none")]
    assert give_present_time(paths) == [tmp_path / "late", tmp_path / "a little late"]
    assert abs((tmp_path / "late").stat().st_mtime - time.time()) < 60
    assert (tmp_path / "old").stat().st_mtime_ns == before
    assert give_present_time(paths) == []


def test_room_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path / "not" / "there", free / 2, "10 pictures", "cache")
    with pytest.raises(LookalikeError) as caught:
        require_room(tmp_path / "not" / "there", 2 * free, "10 pictures", "cache", "eat less, ")
    said = str(caught.value)
    for part in (f"{tmp_path}/not/there", "10 pictures", "GB left", "eat less", "cache=..."):
        assert part in said


def test_a_file_system_without_locks_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock_results(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "file/inside", "loop/inside"])
def test_a_folder_that_can_never_be_is_told_beforehand(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(LookalikeError, match=r"cannot be written: .* --config results="):
        require_folder(tmp_path / name, "results")
    require_folder(tmp_path / "not" / "there", "results")
    assert not (tmp_path / "not").exists()


def test_who_holds_a_folder_is_told_whatever_stands_there(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"\xff\xfe")
    with (tmp_path / LOCK).open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(LookalikeError, match="another run is at work here"):
            lock_results(tmp_path)
