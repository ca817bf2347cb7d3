"""Which devices a job may use, from variables and device files."""

from pathlib import Path

import pytest

from lookalike.jobs.devices import device_for, gpu_count, visible_gpus


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("0,1", ["0", "1"]),
        ("3, 1", ["3", "1"]),
        ("GPU-8a1c,MIG-77", ["GPU-8a1c", "MIG-77"]),
        ("0,-1,1", ["0"]),
        ("-1", []),
        ("", []),
        ("1,1", ["1"]),
    ],
)
def test_the_variable_decides_as_cuda_reads_it(
    tmp_path: Path, named: str, expected: list[str]
) -> None:
    (tmp_path / "nvidia0").touch()
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": named}, tmp_path) == expected


def test_device_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert gpu_count({}, tmp_path) == 0
    (tmp_path / "kfd").touch()
    assert gpu_count({}, tmp_path) == 1
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus({}, tmp_path) == ["0", "1"]
    assert gpu_count({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path) == 1


def test_auto_without_a_gpu_is_the_cpu() -> None:
    assert device_for("auto", 0) == "cpu"
    assert device_for("auto", 1) == "auto"
    assert device_for("cuda", 0) == "cuda"
