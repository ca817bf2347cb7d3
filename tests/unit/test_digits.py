"""The benchmark's digits against scikit-learn's."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from support.drawn_layout import labels, names, pixels
from support.project import ROOT

WriteDigits = Callable[[Path, str, int, float], dict[str, int]]


@pytest.fixture(scope="module")
def write_digits() -> WriteDigits:
    function: WriteDigits = runpy.run_path(str(ROOT / "benchmarks" / "digits.py"))["write_digits"]
    return function


@pytest.mark.parametrize("split", ["open", "closed"])
def test_digits_are_scikit_learns(split: str, write_digits: WriteDigits, tmp_path: Path) -> None:
    counts = write_digits(tmp_path, split, 0, 0.2)
    source = load_digits()
    known = labels(tmp_path, "train_image_info.json") | labels(tmp_path, "test_image_info.json")
    files = {file.name: file for file in tmp_path.rglob("*.png")}
    assert set(files) == set(known)
    assert len(files) == sum(counts.values()) == len(source.target) == 1797
    for name, file in files.items():
        index = int(Path(name).stem)
        grey = pixels(file)[..., 0]
        assert known[name] == str(source.target[index])
        assert np.abs(grey - (255 - source.images[index] * 255 / 16)).max() <= 0.5


def test_the_open_split_tests_on_digits_never_trained_on(
    write_digits: WriteDigits, tmp_path: Path
) -> None:
    write_digits(tmp_path, "open", 0, 0.2)
    test = labels(tmp_path, "test_image_info.json")
    assert set(labels(tmp_path, "train_image_info.json").values()) == set("012345")
    for digit in "6789":
        of_digit = {name for name, label in test.items() if label == digit}
        share = len(of_digit & names(tmp_path / "query_images")) / len(of_digit)
        assert share == pytest.approx(0.2, abs=0.01)


def test_the_closed_split_halves_every_digit(write_digits: WriteDigits, tmp_path: Path) -> None:
    write_digits(tmp_path / "0", "closed", 0, 0.2)
    write_digits(tmp_path / "1", "closed", 1, 0.2)
    train = list(labels(tmp_path / "0", "train_image_info.json").values())
    target = load_digits().target
    for digit in range(10):
        assert train.count(str(digit)) == np.count_nonzero(target == digit) // 2
    assert names(tmp_path / "0" / "train") != names(tmp_path / "1" / "train")
