"""What the suite makes again: what other images, code or libraries made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.models.table import MODELS
from lookalike.provenance import versions
from lookalike.steps.demo import LabelledImage
from lookalike.storage.files import write_json
from suite import datasets, origins
from suite.datasets import DATA_SETS, build
from suite.layouts import Layout, Made
from suite.origins import SUITE, origin_of_data, origin_of_peer
from suite.runs import DATA, Plan

NAME = "digits"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    origin_of_data.cache_clear()
    origin_of_peer.cache_clear()


def made(content: bytes) -> Made:
    images = [LabelledImage(f"{number}.png", "ab"[number % 2], content) for number in range(6)]
    layout = Layout(images, images[:2], images[2:])
    return Made(layout, layout, "nobody's")


def test_a_data_set_is_made_again_by_other_code_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []

    def make(work: Path) -> Made:
        calls.append(b"%d" % len(calls))
        return made(calls[-1])

    monkeypatch.setitem(DATA_SETS, NAME, replace(DATA_SETS[NAME], make=make))
    image = tmp_path / NAME / "final" / "train" / "0.png"
    for _ in range(2):
        build(NAME, tmp_path, tmp_path)
        assert (image.read_bytes(), len(calls)) == (b"0", 1)
    monkeypatch.setattr(datasets, "origin_of_data", lambda module: "of another day")
    for _ in range(2):
        build(NAME, tmp_path, tmp_path)
        assert (image.read_bytes(), len(calls)) == (b"1", 2)
    # What an earlier version left says nothing of what made it.
    write_json(tmp_path / NAME / datasets.COMPLETE, {"development": {"train": 6}})
    build(NAME, tmp_path, tmp_path)
    assert (image.read_bytes(), len(calls)) == (b"2", 3)


def test_the_origin_of_data_is_code_and_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (SUITE / "drawings.py").read_text()
    changed = {
        "same": text,
        "remark": f"{text}# No more than that.\n",
        "code": text.replace('"train": 260', '"train": 261'),
    }
    found = {}
    for name, content in changed.items():
        path = tmp_path / f"{name}.py"
        path.write_text(content)
        found[name] = origin_of_data(path)
    assert found["remark"] == found["same"] == origin_of_data(SUITE / "drawings.py")
    assert found["code"] != found["same"]
    # What a module takes counts with it.
    helper = tmp_path / "layouts.py"
    helper.write_text((SUITE / "layouts.py").read_text().replace("LICENCE.txt", "LICENCE.md"))
    makers = (helper, *origins._MAKERS[1:])
    for attribute, value in (("_MAKERS", makers), ("versions", lambda names: {"pillow": "0"})):
        origin_of_data.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(origins, attribute, value)
            assert origin_of_data(tmp_path / "same.py") != found["same"]


def other_library(name: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    def change(patch: pytest.MonkeyPatch, folder: Path) -> None:
        def other(names: list[str]) -> dict[str, str]:
            return {one: "0" if one == name else of for one, of in versions(names).items()}

        patch.setattr(origins, "versions", other)

    return change


def other_code(patch: pytest.MonkeyPatch, folder: Path) -> None:
    path = folder / "peer.py"
    path.write_text((SUITE / "peer.py").read_text().replace("LR = 0.001", "LR = 0.002"))
    patch.setattr(origins, "PEER", path)


def other_network(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Of the package's code: here another module for that of the network."""
    patch.setattr(origins, "MODELS", {"cnn4": MODELS["timm"]})


def other_image(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / DATA / NAME / "development" / "gallery" / "3.png").write_bytes(b"other")


def other_label(patch: pytest.MonkeyPatch, folder: Path) -> None:
    path = folder / DATA / NAME / "development" / "test_image_info.json"
    path.write_text(path.read_text().replace('"a"', '"c"'))


def nothing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / DATA / NAME / "development" / "gallery" / "3.png").touch()


@pytest.mark.parametrize(
    ("change", "still_done"),
    [
        (nothing, True),
        (other_code, False),
        (other_network, False),
        (other_image, False),
        (other_label, False),
        (other_library("torch"), False),
        (other_library("pytorch-metric-learning"), False),
    ],
    ids=["nothing", "code", "network", "image", "label", "torch", "peer"],
)
def test_a_peer_s_run_stands_for_its_images_code_and_libraries(
    change: Callable[[pytest.MonkeyPatch, Path], None],
    still_done: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(b"content").write(tmp_path / DATA / NAME)
    plan = Plan(tmp_path, "development", [NAME], {}, {NAME: ["triplet"]}, [0], 10)
    before = plan.of(NAME)
    folder = tmp_path / plan.peer_results(NAME, "triplet", 0)
    folder.mkdir(parents=True)
    write_json(folder / "made.json", {"of": before._decides("triplet", 0)})
    assert plan.of(NAME).peer_is_done("triplet", 0)
    assert not replace(plan, steps=11).of(NAME).peer_is_done("triplet", 0)
    change(monkeypatch, tmp_path)
    origin_of_peer.cache_clear()
    assert plan.of(NAME).peer_is_done("triplet", 0) == still_done
