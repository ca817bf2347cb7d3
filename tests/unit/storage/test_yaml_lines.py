"""Settings and mistakes are found on the lines where an editor shows them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.storage.yaml_lines import YamlLines, read_with_lines

_KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
_TREES = st.recursive(
    st.integers() | st.text("xyz ", max_size=5),
    lambda inside: st.dictionaries(_KEYS, inside, min_size=1, max_size=4),
    max_leaves=12,
)


def numbered(tree: Any, path: str, seen: dict[str, str]) -> Any:
    """The same with keys of which none is like another; by its path, what to look for in a text."""
    if not isinstance(tree, dict):
        return tree
    renamed = {}
    for key, value in tree.items():
        name = f"{key}-{len(seen)}"
        place = f"{path}.{name}" if path else name
        seen[place] = f"{name}:"
        renamed[name] = numbered(value, place, seen)
    return renamed


@given(st.dictionaries(_KEYS, _TREES, min_size=1, max_size=4), st.booleans())
def test_every_key_is_found_on_its_line(tree: dict[str, Any], flow: bool) -> None:
    names: dict[str, str] = {}
    text = yaml.safe_dump(numbered(tree, "", names), default_flow_style=None if flow else False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_, **__: text)
        lines = YamlLines(Path("mine.yaml"))
    for path, wanted in names.items():
        (line,) = [n for n, line in enumerate(text.splitlines(), 1) if wanted in line]
        place = lines.place(f"{path}: is wrong")
        assert place is not None
        assert (place.line, place.depth) == (line, path.count(".") + 1)


MINE = """\
# A comment
data: {root: photos}
runs:
  - default
  - 'mine'
  - meins
common: &common
  epochs: 3
recipes:
  mine:
    <<: *common
    loss:
      name: triplet
      margn: 0.2
    a.b:
      c: 1
  mine.two: {epochs: 1}
"""


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("data.root: 'x' is no folder", 2),
        ("recipes.mine.loss: unknown key 'margn' of triplet; did you mean 'margin'?", 14),
        ("(top level): unknown key 'common'; known: a, b", 7),
        ("runs: no recipe is named 'meins'; did you mean 'mine'?", 6),
        ("runs.1: 5 must be text", 5),
        ("recipes.mine.epochs: 0 must be auto", 8),
        ("recipes.mine.a.b.c: must be less", 16),
        ("recipes.mine.two.epochs: must be less", 17),
        ("recipes.mine (as mine-lr1 and 3 more of its points).optimizer: no", 10),
        # Of what a default says: as far as the file has it.
        ("recipes.mine.optimizer.lr: 'x' must be a number", 10),
        ("metrics.k: no", None),
        ("runsx: no", None),
    ],
)
def test_mistakes_are_found_where_a_person_would_look(
    tmp_path: Path, fault: str, line: int | None
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    place = YamlLines(path).place(fault)
    assert (place and place.line) == line


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", 3),
        (b"a: 1\n\tb: 2\n", 2),
        (b"a: 1\nb: 2\na: 3\n", 3),
        (b"a: 1\nb: c: d\n", 2),
        (b"a: 1\n\nb: 2024-13-45\n", 3),
        (b"a: 1\nb: *nothing\n", 2),
        (b"a: 1\nb: !!python/object:os.system {}\n", 2),
        (b"a: 1\nb: caf\xe9\n", 2),
        (b"a: 1\nb: 2\nc: \x07\n", 3),
        (b"- a\n- b\n", 1),
        (b"a\n", 1),
        (b"a: 1\nb: 1" + b"0" * 5000 + b"\n", 2),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(LookalikeError) as refused:
        read_with_lines(path)
    assert str(refused.value).startswith(f"{path}:{line}: ")


def test_a_file_that_is_not_there_has_no_line(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"mine\.yaml: cannot be read as YAML"):
        read_with_lines(tmp_path / "mine.yaml")


def test_what_merges_itself_is_not_followed_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a\n  <<: *a\n  b: 1\n")
    place = YamlLines(path).place("a.c: no")
    assert place is None or place.line == 1
