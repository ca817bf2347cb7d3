"""Label files: what counts as a label, and what every mistake comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.labels import LabelEntry, read_labels
from lookalike.errors import LookalikeError

UNUSABLE = [
    *("null", "true", "false", "1.5", "7.0", "1e3", "NaN"),
    *("[]", "[1]", "[[]]", "{}", '{"x": 1}'),
    *('""', '" "', r'" \t"', r'"\ud800"'),
]
UNSAFE = ["", "/etc/passwd", "../a", "x/../a", "x/..", "..\\a", "C:\\a", "\\\\host\\a", "a\0b"]
EXAMPLES = settings(derandomize=True, deadline=None, max_examples=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


def entries_of(folder: Path, content: str | bytes) -> list[LabelEntry]:
    path = folder / "labels.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_labels(path).entries)


def status_of(folder: Path, content: str) -> str:
    (entry,) = entries_of(folder, content)
    assert (entry.detail is None) == (entry.status == "ok")
    return entry.status


def error_of(folder: Path, content: str | bytes) -> str:
    with pytest.raises(LookalikeError) as caught:
        entries_of(folder, content)
    assert str(folder / "labels.json") in str(caught.value)
    return str(caught.value)


class TestLabels:
    def test_integers_and_strings_are_one_kind(self, folder: Path) -> None:
        entries = entries_of(folder, '{"a": 7, "b": "7", "c": -0, "d": -12}')
        assert [entry.label for entry in entries] == ["7", "7", "0", "-12"]

    def test_long_integers_keep_every_digit(self, folder: Path) -> None:
        digits = "9" * 5000
        assert entries_of(folder, f'{{"a": {digits}}}')[0].label == digits

    def test_the_order_of_the_file_is_kept(self, folder: Path) -> None:
        entries = entries_of(folder, '{"z": 1, "a": 2, "m": 3}')
        assert [entry.name for entry in entries] == ["z", "a", "m"]

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_utf8_with_and_without_byte_order_mark(self, folder: Path, mark: bytes) -> None:
        (entry,) = entries_of(folder, mark + '{"süß.jpg": "猫"}'.encode())
        assert entry == LabelEntry("süß.jpg", "猫", "ok", None)

    def test_text_is_taken_as_it_stands(self, folder: Path) -> None:
        assert entries_of(folder, '{"a": " cat "}')[0].label == " cat "

    @pytest.mark.parametrize("label", UNUSABLE)
    def test_unusable_labels(self, folder: Path, label: str) -> None:
        (entry,) = entries_of(folder, f'{{"a.jpg": {label}}}')
        assert (entry.name, entry.label, entry.status) == ("a.jpg", None, "unusable_label")
        assert entry.detail

    @pytest.mark.parametrize("name", UNSAFE)
    def test_unsafe_names(self, folder: Path, name: str) -> None:
        (entry,) = entries_of(folder, json.dumps({name: "cat"}))
        assert (entry.label, entry.status) == ("cat", "unsafe_name")
        assert entry.detail

    @pytest.mark.parametrize(
        "name", ["a..b.jpg", "..a", "x/y/z.jpg", ".hidden", " ", "C:", "a:b/c"]
    )
    def test_odd_names_that_are_safe(self, folder: Path, name: str) -> None:
        assert status_of(folder, json.dumps({name: 1})) == "ok"

    def test_a_name_of_half_a_surrogate_pair_can_be_stored(self, folder: Path) -> None:
        (entry,) = entries_of(folder, '{"a\\udcff.jpg": 1}')
        assert (entry.name, entry.status) == ("a\\udcff.jpg", "unsafe_name")
        assert entry.name.encode()


class TestRepeatedKeys:
    def test_two_labels_are_left_out_and_named(self, folder: Path) -> None:
        entries = entries_of(folder, '{"a": "cat", "b": "dog", "a": "cow"}')
        assert [entry.name for entry in entries] == ["a", "b"]
        assert (entries[0].label, entries[0].status) == (None, "conflicting_labels")
        assert "cat" in str(entries[0].detail)
        assert "cow" in str(entries[0].detail)

    @pytest.mark.parametrize("second", ["7", '"7"'])
    def test_the_same_label_counts_once(self, folder: Path, second: str) -> None:
        assert entries_of(folder, f'{{"a": 7, "a": {second}}}') == [
            LabelEntry("a", "7", "ok", None)
        ]

    def test_a_label_and_an_unusable_one_conflict(self, folder: Path) -> None:
        assert status_of(folder, '{"a": "cat", "a": null}') == "conflicting_labels"

    def test_two_unusable_ones_are_unusable(self, folder: Path) -> None:
        assert status_of(folder, '{"a": null, "a": 1.5}') == "unusable_label"


class TestWholeFile:
    def test_syntax_errors_say_where(self, folder: Path) -> None:
        message = error_of(folder, '{"a": 1,\n "b": 2,\n}')
        assert "line 3, column 1" in message

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "line 1, column 1"),
            ("a.jpg,cat\n", "line 1, column 1"),
            ("[]", "a list"),
            ('[{"file": "a", "label": 1}]', "a list"),
            ('"text"', "a single value"),
            ("7", "a single value"),
            ("null", "null"),
            ("{}", "an empty object"),
            ("[" * 200_000, "nested too deeply"),
            (b'{"a": "\xff"}', "not UTF-8 text (line 1, byte 8 of the file)"),
            (b'{"a": 1,\n"b": "\xe4"}', "line 2"),
            ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ],
    )
    def test_is_refused_with_the_reason(
        self, folder: Path, content: str | bytes, says: str
    ) -> None:
        assert says in error_of(folder, content)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(
            LookalikeError, match=r"nowhere\.json cannot be read: No such file.*data"
        ):
            read_labels(tmp_path / "nowhere.json")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LookalikeError, match="Is a directory"):
            read_labels(tmp_path)


# Without names that mean one file, and without letters that are drawn as nothing.
NAMES = st.text().filter(lambda name: "/" not in name)
SEEN = st.text(st.characters(exclude_categories=["Cs", "Cf", "Mn", "Lo", "So"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SEEN,
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=10,
)


def test_other_spellings_of_a_file_are_one_entry(folder: Path) -> None:
    path = folder / "spellings.json"
    spellings = {"./a.png": 1, "a.png": 1, "b//c.png": 1, "b/./c.png": 2, "../d": 1, "a.png/": 1}
    path.write_text(json.dumps(spellings))
    entries = read_labels(path).entries
    assert [(entry.name, entry.status) for entry in entries] == [
        ("./a.png", "ok"),
        ("b//c.png", "conflicting_labels"),
        ("../d", "unsafe_name"),
        ("a.png/", "ok"),  # a folder, if there is one
    ]


@pytest.mark.parametrize("label", ["\u3164", "\u2800 \u200b", "\u115f\ufe0f"])
def test_a_label_of_nothing_that_can_be_seen_is_blank(folder: Path, label: str) -> None:
    path = folder / "unseen.json"
    path.write_text(json.dumps({"a.png": label, "b.png": f"x{label}", "c.png": "\ue000"}))
    first, *others = read_labels(path).entries
    assert first.status == "unusable_label"
    # Kept as they are; a letter of private use is one.
    assert [entry.label for entry in others] == [f"x{label}", "\ue000"]


def test_a_file_of_nul_bytes_is_what_a_crash_leaves(folder: Path) -> None:
    assert "as a crash leaves" in error_of(folder, b"\0" * 4096)


class TestProperties:
    @EXAMPLES
    @given(JSON)
    def test_any_json_is_read_or_refused(self, folder: Path, value: Any) -> None:
        path = folder / "any.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        try:
            entries = read_labels(path).entries
        except LookalikeError:
            assert not isinstance(value, dict) or not value
            return
        assert isinstance(value, dict)
        assert len(entries) == len(value)
        for entry, (_, label) in zip(entries, value.items(), strict=True):
            usable = (isinstance(label, str) and label.strip()) or type(label) is int
            assert entry.label == (str(label) if usable else None)
            assert (entry.status == "unusable_label") <= (not usable)

    @EXAMPLES
    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, folder: Path, content: bytes) -> None:
        path = folder / "bytes.json"
        path.write_bytes(content)
        try:
            read_labels(path)
        except LookalikeError as error:
            assert str(path) in str(error)

    @EXAMPLES
    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2, "1", "x"])), min_size=1)
    )
    def test_repeated_keys(self, folder: Path, pairs: list[tuple[str, int | str]]) -> None:
        text = ", ".join(f"{json.dumps(name)}: {json.dumps(label)}" for name, label in pairs)
        labels_of = {name: {str(b) for a, b in pairs if a == name} for name, _ in pairs}
        for entry in entries_of(folder, f"{{{text}}}"):
            labels = labels_of.pop(entry.name)
            assert (entry.status == "ok") == (len(labels) == 1)
            assert entry.label == (labels.pop() if len(labels) == 1 else None)
        assert not labels_of
