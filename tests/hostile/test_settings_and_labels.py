"""Settings and label files out of anything that YAML and JSON can say."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import ImageColor

from lookalike.config import Settings, resolve
from lookalike.data.labels import LabelEntry, read_labels
from lookalike.errors import LookalikeError
from lookalike.storage.yaml_files import read_yaml
from lookalike.sweeps.extending import EXTENDS, SWEEP_KEYS
from lookalike.sweeps.paths import rules_of_recipe
from lookalike.training.given import is_given
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
EXAMPLES = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=60,
)
RECIPE_NAMES = st.from_regex(
    SCHEMA["properties"]["recipes"]["propertyNames"]["pattern"].replace(r"$(?!\n)", r"\Z")
)
Where = tuple[str | int, ...]


def said(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What one rule of the schema lets a user say; raises on what it does not know of."""
    if "$ref" in rule:
        found = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]
        return said({**found, **{key: value for key, value in rule.items() if key != "$ref"}})
    if "if" in rule:
        return st.one_of([said(rule["then"]), said(rule["else"])])
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    if "allOf" in rule:
        return st.one_of([said_by_name(branch, rule["properties"]) for branch in rule["allOf"]])
    if "anyOf" in rule:
        rest = {key: value for key, value in rule.items() if key != "anyOf"}
        return st.one_of([said({**rest, **branch}) for branch in rule["anyOf"]])
    if "then" in rule and "else" in rule:
        return said(rule["then"]) | said(rule["else"])
    if "const" in rule:
        return st.just(rule["const"])
    if isinstance(rule["type"], list):
        # Of several kinds, each by itself; `not` is what is no value of any.
        by_kind = [said({**rule, "type": kind}) for kind in rule["type"]]
        never = rule.get("not", {}).get("const")
        return st.one_of(by_kind).filter(lambda value: never is None or value is not never)
    kinds = {"object": mapping, "array": sequence, "integer": integer, "number": number}
    if rule["type"] in kinds:
        return kinds[rule["type"]](rule)
    if rule["type"] == "boolean":
        return st.booleans()
    assert rule["type"] == "string", rule
    odd = st.sampled_from(["~", "~/a", "./b//c/", "../d", "/", "a b", "null", "1e3", "x/../~"])
    # Whose home "~name" means is another matter.
    text = st.text(min_size=rule.get("minLength", 0)).filter(lambda text: text[:1] != "~")
    return odd | text.filter(lambda text: re.search(rule.get("pattern", ""), text))


# A colour, which no rule of the schema tells.
COLOURS = st.sampled_from(["white", "black", "teal", "#102030", "rgb(1, 2, 3)"])


def said_by_name(branch: dict[str, Any], names: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A mapping whose `name` says which keys it has: the schema's if and then."""
    name = branch["if"]["properties"]["name"]["const"]
    assert name in names["name"]["enum"]
    rules = {key: rule for key, rule in branch["then"]["properties"].items() if rule is not True}
    optional = {key: said(rule) for key, rule in rules.items()}
    return st.fixed_dictionaries({"name": st.just(name)}, optional=optional)


def mapping(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    # What speaks of other recipes and of paths is more than a schema tells: see TestSweeps.
    rules = {k: v for k, v in rule["properties"].items() if k not in (EXTENDS, *SWEEP_KEYS)}
    kinds = {key: COLOURS if key == "background" else said(rules[key]) for key in rules}
    if "oneOf" in rule:
        alone = {key: kinds.pop(key) for case in rule["oneOf"] for key in case["required"]}
        return st.one_of(
            [st.fixed_dictionaries({key: kind}, optional=kinds) for key, kind in alone.items()]
        )
    required = {key: kinds.pop(key) for key in rule.get("required", [])}
    known = st.fixed_dictionaries(required, optional=kinds)
    if not rule["additionalProperties"]:
        return known
    more = st.dictionaries(RECIPE_NAMES, said(rule["additionalProperties"]), max_size=2)
    return st.builds(lambda first, second: {**second, **first}, known, more)


def sequence(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, most = rule["minItems"], rule.get("maxItems", rule["minItems"] + 2)
    return st.lists(
        said(rule["items"]), min_size=least, max_size=most, unique=rule.get("uniqueItems", False)
    )


def integer(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.integers(rule.get("minimum"), rule.get("maximum"))


def number(rule: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, below = rule.get("minimum"), rule.get("exclusiveMaximum")
    above = rule.get("exclusiveMinimum")
    return st.floats(
        least if least is not None else above,
        below if below is not None else rule.get("maximum"),
        exclude_min=above is not None,
        exclude_max=below is not None,
        allow_nan=False,
        allow_infinity=False,
    )


# What of a recipe excludes something else in it, see `lookalike.training.combinations`.
MAY_EXCLUDE_OTHERS = (
    *("memory", "miner", "views", "train", "optimizer", "validation", "augment", "batch"),
    *("loss", "model"),
)


@st.composite
def valid_settings(draw: st.DrawFn) -> Settings:
    """Settings that the schema allows, whose runs are recipes that there are and can be trained."""
    chosen: Settings = draw(said(SCHEMA))
    for name, recipe in chosen.get("recipes", {}).items():
        for key in MAY_EXCLUDE_OTHERS:
            if faults_of([{"recipes": {name: recipe}}]) is None:
                break
            recipe.pop(key, None)
    if "runs" in chosen:
        known = sorted({*resolve([], SCHEMA)["recipes"], *chosen.get("recipes", {})})
        chosen["runs"] = draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
    if "baseline" in chosen.get("report", {}):
        chosen["report"]["baseline"] = draw(st.sampled_from(["", *chosen.get("runs", ["default"])]))
    # Nor may it exclude what a run is, see `lookalike.retrieval.search_settings`.
    for state in list(chosen.get("search", {})):
        if faults_of([chosen]) is None:
            break
        del chosen["search"][state]
    return chosen


VALID = valid_settings()

# What YAML has: its own kinds, numbers out of every range, text that nearly reads as what is asked.
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["1e-3", "0x10", "nan", "1_000", "~nobody-of-this-name/x", "\0", "triplet"])
    | st.sampled_from([10**30, -(10**30), 10**400, -(10**400), 1e308, 5e-324, -0.0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, at: Where = ()) -> Iterator[Where]:
    """The way to every value in settings, but for the whole."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    for key, below in inside:
        yield (*at, key)
        yield from places(below, (*at, key))


def parent(chosen: Settings, at: Where) -> Any:
    value: Any = chosen
    for key in at[:-1]:
        value = value[key]
    return value


def dotted(at: Where) -> str:
    return ".".join(map(str, at)) or "(top level)"


def faults_of(layers: list[Settings]) -> list[str] | None:
    """The lines of the error that the settings give; None if they resolve."""
    try:
        resolve(layers, SCHEMA)
    except LookalikeError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return None


# Folders are written in their shortest form.
ELSEWHERE = {("results",), ("cache",)}


def in_one_spelling(at: tuple[Any, ...], value: Any) -> Any:
    """A setting as it is known by, where it can be said in several ways."""
    if at[-1] == "background":
        return {(255, 255, 255): "white", (0, 0, 0): "black"}.get(
            rgb := ImageColor.getrgb(value)[:3], "#{:02x}{:02x}{:02x}".format(*rgb)
        )
    return sorted(set(value)) if at == ("metrics", "k") else value


def stands_for_defaults(at: tuple[Any, ...], value: Any) -> bool:
    """Whether a value asks for a state of the search side, with whatever its defaults are."""
    return at[0] == "search" and value is True


def is_cut_off(at: tuple[Any, ...]) -> bool:
    """Whether a place is one in the list of cut-offs, which is sorted."""
    return at[:2] == ("metrics", "k") and len(at) > 2


PATHS = st.sampled_from([*rules_of_recipe(SCHEMA)]) | st.text("los.n", max_size=4)
RANGE = st.fixed_dictionaries(
    {"from": JUNK | st.integers(0, 9), "to": JUNK | st.floats(0, 9)},
    optional={"scale": st.sampled_from(["log", "linear"]) | JUNK, "step": JUNK},
)
SWEPT = st.fixed_dictionaries(
    {},
    optional={
        "extends": st.sampled_from(["default", "strong", "other", "swept"]) | JUNK,
        "sweep": st.dictionaries(PATHS, RANGE | st.lists(JUNK, max_size=3) | JUNK, max_size=3)
        | JUNK,
        "sample": st.integers(-1, 20) | JUNK,
        "sample_seed": st.integers(-1, 3) | JUNK,
        "folds": st.integers(0, 4) | JUNK,
        "select": st.fixed_dictionaries({}, optional={"by": JUNK, "per": PATHS | JUNK}) | JUNK,
        "budget": st.sampled_from(["full", "halving", {"halving": 2}, {"halving": 1}]) | JUNK,
        "epochs": st.just(3) | JUNK,
    },
)


class TestSweeps:
    @settings(EXAMPLES, max_examples=300)
    @given(SWEPT, SWEPT, st.sampled_from(["swept", "strong"]))
    def test_anything_in_a_sweep_resolves_or_is_named(
        self, swept: Settings, other: Settings, name: str
    ) -> None:
        chosen = {"recipes": {name: swept, "other": other}, "runs": [name]}
        before = copy.deepcopy(chosen)
        faults = faults_of([chosen])
        assert repr(chosen) == repr(before)
        if faults is None:
            resolved = resolve([chosen], SCHEMA)
            assert {*resolved["runs"]} <= resolved["recipes"].keys()
            keys = resolve([], SCHEMA)["recipes"]["default"].keys()
            assert all(recipe.keys() == keys for recipe in resolved["recipes"].values())
        else:
            assert faults[0].startswith((f"recipes.{name}", "recipes.other"))
        # Whatever else is wrong, a path that is none is told.
        paths = swept["sweep"] if isinstance(swept.get("sweep"), dict) else {}
        for path in paths:
            if path not in rules_of_recipe(SCHEMA) and str(path).isprintable():
                assert faults and any(f"recipes.{name}.sweep.{path}:" in line for line in faults)


class TestSettings:
    @EXAMPLES
    @given(VALID)
    def test_what_the_schema_allows_resolves_and_resolving_again_changes_nothing(
        self, chosen: Settings
    ) -> None:
        before = copy.deepcopy(chosen)
        resolved = resolve([chosen], SCHEMA)
        assert chosen == before
        assert resolve([resolved], SCHEMA) == resolved
        assert resolve([chosen, resolved], SCHEMA) == resolved

    @EXAMPLES
    @given(VALID)
    def test_what_was_said_is_what_comes_out(self, chosen: Settings) -> None:
        resolved = resolve([chosen], SCHEMA)
        for at in places(chosen):
            value, kept = (parent(settings, at)[at[-1]] for settings in (chosen, resolved))
            if stands_for_defaults(at, value):
                assert isinstance(kept, dict)
            elif not isinstance(value, dict) and at not in ELSEWHERE and not is_cut_off(at):
                assert type(kept) is type(value)
                assert kept == in_one_spelling(at, value)

    @EXAMPLES
    @given(VALID)
    def test_nothing_is_left_for_the_schema_to_fill_in(self, chosen: Settings) -> None:
        resolved = resolve([chosen], SCHEMA)
        defaults = resolve([], SCHEMA)
        assert resolved.keys() == defaults.keys()
        for section in ("data", "image", "embed", "metrics", "search", "report"):
            assert resolved[section].keys() == defaults[section].keys()
        (promise,) = resolved["threshold"].keys() - {"from"}
        assert promise in ("precision", "false_positive")
        assert "from" in resolved["threshold"]
        for name, recipe in resolved["recipes"].items():
            if is_given(recipe):
                assert recipe == chosen["recipes"][name]
            else:
                assert recipe.keys() == defaults["recipes"]["default"].keys()

    @settings(EXAMPLES, max_examples=150)
    @given(st.data())
    def test_one_value_of_any_other_kind_resolves_or_is_named(self, data: st.DataObject) -> None:
        chosen = resolve([data.draw(VALID)], SCHEMA)
        at = data.draw(st.sampled_from(list(places(chosen))))
        parent(chosen, at)[at[-1]] = data.draw(JUNK)
        faults = faults_of([chosen])
        if faults is None:
            return
        assert faults
        allowed = [dotted(at)]
        if at[-1] == "name" or isinstance(at[-1], int):
            allowed.append(dotted(at[:-1]))  # keys of another loss; an item given twice
        if at == ("recipes",):
            allowed.append("runs")  # the recipe of a run is gone
        if at[0] == "recipes":
            allowed.append(dotted(at[:2]))  # what excludes something else in it
        if at[0] in ("data", "metrics", "recipes", "runs"):
            allowed.append("search")  # what excludes something there
        if at[0] in ("recipes", "runs"):
            allowed.append("report.baseline")  # it is among the runs no longer
        for fault in faults:
            assert fault.startswith(tuple(f"{place}{end}" for place in allowed for end in ":.")), at

    @EXAMPLES
    @given(st.data())
    def test_a_value_out_of_its_range_is_refused(self, data: st.DataObject) -> None:
        chosen = resolve([], SCHEMA)
        numbers = [at for at in places(chosen) if type(parent(chosen, at)[at[-1]]) in {int, float}]
        at = data.draw(st.sampled_from(numbers))
        # No number among the defaults may be negative, but for a cosine.
        beyond = [-1.5, float("nan"), float("inf"), -(10**400), 10**400, "1", None, True]
        beyond += [-1] * (at[-2:] != ("loss", "base"))
        parent(chosen, at)[at[-1]] = data.draw(st.sampled_from(beyond))
        faults = faults_of([chosen])
        assert faults
        assert all(fault.startswith(f"{dotted(at)}:") for fault in faults)

    @EXAMPLES
    @given(st.data())
    def test_a_misspelt_key_is_refused_and_named(self, data: st.DataObject) -> None:
        chosen = resolve([data.draw(VALID)], SCHEMA)
        keys = [at for at in places(chosen) if isinstance(at[-1], str) and at[:-1] != ("recipes",)]
        at = data.draw(st.sampled_from(keys))
        key = str(at[-1])
        cut = data.draw(st.integers(0, len(key) - 1))
        wrong = data.draw(
            st.sampled_from([key[:cut] + key[cut + 1 :], key[: cut + 1] + key[cut:], key.upper()])
        )
        around = parent(chosen, at)
        around[wrong] = around.pop(key)
        faults = faults_of([chosen])
        assert faults is not None
        around_it = dotted(at[:-1])
        # Without its name, a loss has no known keys.
        problems = [f"unknown key {wrong!r}"] + ["the key 'name' is missing"] * (key == "name")
        starts = tuple(f"{around_it}: {problem}" for problem in problems)
        found = [fault for fault in faults if fault.startswith(starts)]
        assert found
        assert repr(wrong) in found[0]

    @EXAMPLES
    @given(VALID, VALID)
    def test_of_two_layers_the_upper_one_holds(self, below: Settings, above: Settings) -> None:
        assume(faults_of([below, above]) is None)  # together they may exclude each other
        resolved = resolve([below, above], SCHEMA)
        for at in places(above):
            value = parent(above, at)[at[-1]]
            if stands_for_defaults(at, value):
                assert isinstance(parent(resolved, at)[at[-1]], dict)
            elif not isinstance(value, dict) and at not in ELSEWHERE and not is_cut_off(at):
                assert parent(resolved, at)[at[-1]] == in_one_spelling(at, value)
        assert set(below.get("recipes", {})) <= set(resolved["recipes"])

    def test_a_recipe_may_have_any_name_even_that_of_a_key(self) -> None:
        below: Settings = {"recipes": {"mine": {"epochs": 2}, "name": {"epochs": 3}}}
        resolved = resolve([below, {"recipes": {"name": {"epochs": 4}}}], SCHEMA)
        assert resolved["recipes"]["mine"]["epochs"] == 2

    @pytest.mark.parametrize("folder", ["results", "cache"])
    def test_a_home_of_nobody_is_named(self, folder: str) -> None:
        (fault,) = faults_of([{folder: "~nobody-of-this-name/x"}]) or [""]
        assert fault.startswith(f"{folder}:")

    @pytest.mark.parametrize(
        "text",
        [
            *("9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000, "0x_"),
            *("2001-99-99", "2001-01-01 25:00:00", "!!int x", "!!bool x", "!!timestamp x"),
            *(
                "[" * 500 + "]" * 500,
                "[" * 20_000 + "]" * 20_000,
                "&a [*a]",
                r'"\ud800"',
                "{[]: 1}",
            ),
        ],
        ids=lambda text: text[:20],
    )
    def test_what_yaml_cannot_make_sense_of_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(f"seeds: {text}\n")
        with pytest.raises(LookalikeError, match=r"mine\.yaml|seeds|nested"):
            resolve([read_yaml(path)], SCHEMA)


UNICODE = st.text(
    st.characters(exclude_categories=()), max_size=6
)  # with halves of surrogate pairs
HUGE = "an integer of six thousand digits"  # written as one: Python does not write it itself
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | UNICODE
    | st.sampled_from([10**4000, HUGE, "", " ", "\ud800", "\ud83d\ude00", "cat"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(UNICODE | st.sampled_from(["../a", "/a", "a.png"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "labels.json"


# Text with something to see in it: no letter of it is of a kind that may be drawn as nothing.
SEEN = st.text(st.characters(codec="utf-8", exclude_categories=["Cf", "Mn", "Lo", "So"])).filter(
    str.strip
)


class TestLabelFiles:
    @settings(EXAMPLES, max_examples=400)
    @given(value=ANY_JSON | st.dictionaries(UNICODE, ANY_JSON), ascii_only=st.booleans())
    @example(value={"\ud800": "a", "\\ud800": "b"}, ascii_only=True)
    @example(value={"\ud83d\ude00": 1, "\U0001f600": 1, "\ud83d": 2}, ascii_only=True)
    def test_any_json_is_read_or_refused_by_the_name_of_the_file(
        self, path: Path, value: Any, ascii_only: bool
    ) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only)
        text = text.replace(json.dumps(HUGE), "7" * 6000)
        content = text.encode("utf-8", "surrogatepass")
        path.write_bytes(content)
        no_text = not ascii_only and re.search("[\ud800-\udfff]", text) is not None
        if no_text or not isinstance(value, dict) or not value:
            with pytest.raises(LookalikeError) as caught:
                read_labels(path)
            assert str(path) in str(caught.value)
            assert str(caught.value).encode()
            return
        entries = read_labels(path).entries
        written = json.loads(json.dumps(value))  # where the halves of a pair have come together
        assert len(entries) == len(written)
        for entry, (name, label) in zip(entries, written.items(), strict=True):
            "".join(part or "" for part in entry).encode()
            assert (entry.status == "ok") == (entry.detail is None)
            if entry.status == "ok":
                assert entry.name == name
                assert entry.label == ("7" * 6000 if label == HUGE else str(label))
                assert isinstance(label, str | int) and not isinstance(label, bool)

    @EXAMPLES
    @given(
        depth=st.sampled_from([1, 2, 50, 900, 990, 1000, 1100, 5000, 200_000]),
        opening=st.sampled_from(["[", '{"a": ', '{"a": 1, "b": [']),
        inmost=st.sampled_from(["1", '"x"', "null", ""]),
    )
    def test_nesting_of_any_depth_is_read_or_refused(
        self, path: Path, depth: int, opening: str, inmost: str
    ) -> None:
        closing = "".join({"[": "]", "{": "}"}.get(mark, "") for mark in reversed(opening))
        path.write_text(opening * depth + inmost + closing * depth)
        try:
            (*_, last) = read_labels(path).entries
        except LookalikeError as error:
            assert str(path) in str(error)
            return
        flat = depth == 1 and opening == '{"a": ' and inmost != "null"
        assert last.status == ("ok" if flat else "unusable_label")

    @settings(EXAMPLES, max_examples=300)
    @given(
        # Under names that are no other spellings of each other.
        labels=st.dictionaries(
            st.lists(
                st.text(
                    st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1
                ).filter(lambda part: part not in {".", ".."}),
                min_size=1,
                max_size=3,
            ).map("/".join),
            st.integers() | SEEN,
            min_size=1,
        ),
        ascii_only=st.booleans(),
        mark=st.sampled_from(["", "\ufeff"]),
        spaces=st.sampled_from([None, 1, "\t"]),
    )
    def test_legal_labels_come_back_as_they_were_written(
        self,
        path: Path,
        labels: dict[str, str | int],
        ascii_only: bool,
        mark: str,
        spaces: int | str | None,
    ) -> None:
        text = mark + json.dumps(labels, ensure_ascii=ascii_only, indent=spaces)
        path.write_text(text, encoding="utf-8", newline="")
        expected = [LabelEntry(name, str(label), "ok", None) for name, label in labels.items()]
        assert list(read_labels(path).entries) == expected
