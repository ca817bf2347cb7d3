"""What is known of this machine is kept by all that decides it."""

from pathlib import Path

import pytest

from lookalike.jobs import speed
from lookalike.jobs.speed import Speeds, processor
from lookalike.storage.files import write_checked


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    measured = []

    def measure() -> float:
        measured.append(1)
        return 0.25 * len(measured)

    speeds = Speeds(tmp_path)
    assert speeds.seconds(["a step", 64], measure) == 0.25
    assert Speeds(tmp_path).seconds(["a step", 64], measure) == 0.25
    assert Speeds(tmp_path).seconds(["a step", 224], measure) == 0.5
    assert (speeds.measured, len(measured)) == (1, 2)


@pytest.mark.parametrize("name", ["processor", "versions"])
def test_another_processor_or_torch_is_another_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Speeds(tmp_path).keep("a step", 1.0)
    assert Speeds(tmp_path).known("a step") == 1.0
    monkeypatch.setattr(speed, name, lambda *_: "another")
    assert Speeds(tmp_path).known("a step") is None


@pytest.mark.parametrize("content", [b"", b"[]", b'"2"', b"0", b"{", b"nan"])
def test_what_cannot_be_used_is_measured_anew(tmp_path: Path, content: bytes) -> None:
    Speeds(tmp_path).keep("a step", 1.0)
    (kept,) = (tmp_path / "speed").iterdir()
    write_checked(kept, content)
    assert Speeds(tmp_path).seconds("a step", lambda: 3.0) == 3.0
    assert Speeds(tmp_path).known("a step") == 3.0


def test_what_was_damaged_is_measured_anew(tmp_path: Path) -> None:
    Speeds(tmp_path).keep("a step", 1.0)
    (kept,) = (tmp_path / "speed").iterdir()
    assert b"1.0" in kept.read_bytes()
    kept.write_bytes(kept.read_bytes().replace(b"1.0", b"9.0"))
    assert Speeds(tmp_path).known("a step") is None


def test_where_nothing_can_be_written_it_is_measured_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert Speeds(tmp_path / "cache").seconds("a step", lambda: 2.0) == 2.0


def test_the_processor_has_a_name() -> None:
    assert processor()
