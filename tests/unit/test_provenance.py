"""Digests of code: held against the imports that an independent reader of them finds (grimp)."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import PIL
import pytest
import torch

from lookalike import provenance
from lookalike.data import scan
from lookalike.embedding import filling
from lookalike.images import pixel_store
from lookalike.models.heads.table import HEADS
from lookalike.models.table import MODELS
from lookalike.provenance import NEUTRAL, NEUTRAL_IN, PACKAGE, file_of, reachable, read
from lookalike.training.variants import modules_of_network

SCRIPTS = PACKAGE.parent / "scripts"
STEPS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("lookalike", exclude_type_checking_imports=True, cache_dir=None)


def inside(module: str) -> str:
    return module.removeprefix("lookalike").removeprefix(".")


MODULES = sorted(
    inside(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_the_imports_of_a_module_are_those_that_another_reader_finds(module: str) -> None:
    found = graph().find_modules_directly_imported_by(f"lookalike.{module}")
    assert read(file_of(module)).imported == set(map(inside, found))


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_depends_on_is_what_its_script_imports_but_for_neutral_modules(
    step: str,
) -> None:
    neutral = {*NEUTRAL, *NEUTRAL_IN.get(step, {})}
    script = SCRIPTS / f"{step}.py"
    found: set[str] = set()
    todo = set(re.findall(r"from lookalike\.([\w.]+) import", script.read_text())) - neutral
    while todo:
        module = todo.pop()
        found.add(module)
        imported = graph().find_modules_directly_imported_by(f"lookalike.{module}")
        todo |= set(map(inside, imported)) - neutral - found
    assert reachable(step, script) == found
    assert f"steps.{step.removesuffix('_shard')}" in found


def test_neutral_modules_are_there_and_each_has_a_reason() -> None:
    for modules in (NEUTRAL, *NEUTRAL_IN.values()):
        for module, reason in modules.items():
            assert file_of(module).is_file(), module
            assert reason
    assert set(NEUTRAL_IN) <= set(STEPS)


# They import by name: what they import is counted by `also`, belongs to others, or to no step. Or
# they look where a package is, of which a file is counted by its content, or whence it came.
BY_NAME = {
    *("", "demo.emoji", "jobs.surroundings", "provenance", "records", "steps.demo"),
    "report.origin",
    "models.backbones.layers",
    "models.backbones.sources",
}


def test_no_other_module_imports_by_name() -> None:
    found = {module for module in MODULES if "importlib" in names_of(file_of(module))}
    assert found <= BY_NAME


def names_of(path: Path) -> set[str]:
    """First names of all that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
    return found


def test_a_package_itself_holds_no_code() -> None:
    for path in PACKAGE.rglob("*/__init__.py"):
        (docstring,) = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)


@pytest.mark.parametrize(
    ("module", "keys", "carriers"),
    [
        # What looks at files, and remembers; it decides no more than which file is looked at.
        (scan.__name__, scan.SCAN_READERS, {"data.scan_memory", "storage.digests"}),
        (
            pixel_store.__name__,
            pixel_store.PIXEL_READERS,
            {"storage.files", "storage.row_store", "storage.rows"},
        ),
        (
            filling.__name__,
            (*filling.EMBEDDERS, *filling.OF_BACKBONES),
            {"images.pixel_store", "models.settings", "storage.digests", "storage.row_store"},
        ),
    ],
)
def test_what_fills_a_store_imports_nothing_but_carriers_and_what_its_key_counts(
    module: str, keys: tuple[str, ...], carriers: set[str]
) -> None:
    counted = {inside(key) for key in keys} | {
        inside(found) for key in keys for found in graph().find_upstream_modules(f"lookalike.{key}")
    }
    imported = {inside(found) for found in graph().find_modules_directly_imported_by(module)}
    assert imported - counted - {*NEUTRAL, "errors", "text"} == carriers - counted


@pytest.mark.parametrize("step", STEPS)
def test_whoever_imports_another_library_decides_whether_its_version_matters(step: str) -> None:
    script = SCRIPTS / f"{step}.py"
    files = [script, *map(file_of, reachable(step, script))]
    used = {library for file in files for library in read(file).libraries}
    assert used <= provenance.SHAPING.keys() | provenance.CARRIERS
    expected = {provenance.SHAPING[name] for name in used & provenance.SHAPING.keys()}
    optional = set(provenance.NAMED.get(step, ()))
    assert set(provenance.software(step, script)) == expected | optional


def test_a_library_that_nobody_decided_about_counts(tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text("import pluggy\nimport no_such_library\nimport yaml\n")
    found = provenance.software("step", script)
    assert found == {
        "no_such_library": "not installed",
        "pluggy": importlib.metadata.version("pluggy"),
    }


@pytest.mark.parametrize(
    ("roots", "keyed"),
    [
        (scan.SCAN_READERS, {"PIL", "imagehash"}),
        (pixel_store.PIXEL_READERS, {"PIL"}),
        (filling.EMBEDDERS, {"PIL", "torch"}),  # and the libraries of the network
    ],
)
def test_the_libraries_that_a_store_is_made_by_are_in_its_key(
    roots: tuple[str, ...], keyed: set[str]
) -> None:
    found: set[str] = set()
    for root in roots:
        modules = {root, *map(inside, graph().find_upstream_modules(f"lookalike.{root}"))}
        for module in modules - NEUTRAL.keys():
            found |= read(file_of(module)).libraries
    # numpy carries pixels there, and numba compiles a search that is no part of what is kept.
    assert found - provenance.CARRIERS - {"numpy", "numba"} == keyed


def test_versions_are_those_installed() -> None:
    installed = provenance.software("train", SCRIPTS / "train.py")
    assert installed["torch"] == torch.__version__.partition("+")[0]
    assert provenance.software("pixels", SCRIPTS / "pixels.py")["pillow"] == PIL.__version__


class Written:
    """A package of few files, written anew before each digest."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(provenance, "PACKAGE", folder / "ours")
        monkeypatch.setattr(provenance, "NAME", "ours")
        monkeypatch.setattr(provenance, "NEUTRAL", {"words": "for this test"})

    def digest(self, **files: str) -> str:
        """Digest of the step whose script is `script`; other files by name, __ for a dot."""
        for path in self.folder.rglob("*.py"):
            path.unlink()
        for name, text in files.items():
            place = self.folder if name == "script" else self.folder / "ours"
            path = place.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        read.cache_clear()
        provenance._digest_of_module.cache_clear()
        return provenance.code_digest("step", self.folder / "script.py")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(tmp_path, monkeypatch)


PLAIN = {
    "script": "from ours.one import first\nfirst()\n",
    "one": "import numpy\nfrom ours.two import second\nfrom ours import three\n\n"
    "def first():\n    return second(), three.third, numpy\n",
    "two": "def second():\n    return 2\n",
    "three": "third = 3\n",
    "words": "said = 'so'\n",
    "other": "from ours.one import first\n",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"two": '"""What."""\n# why\ndef second():\n    "Say."\n    return (2\n    )\n'},
        {"three": 'third = 3\n"""What it is."""\n'},
        {"two": "def second():\r\n    return 2\r\n"},
        {"other": "anything = 1\n", "words": "said = 'otherwise'\n"},
        # For type checkers alone.
        {
            "two": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from ours.other import first\n\ndef second():\n    return 2\n"
        },
    ],
    ids=["comments", "texts", "line-ends", "elsewhere", "types"],
)
def test_what_changes_no_code_changes_no_digest(written: Written, changes: dict[str, str]) -> None:
    plain = dict(PLAIN)
    if "TYPE_CHECKING" in changes.get("two", ""):
        plain["two"] = (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x: int\n" + (PLAIN["two"])
        )
    assert written.digest(**plain | changes) == written.digest(**plain)


def test_renamed_and_moved_modules_change_no_digest(written: Written) -> None:
    plain = written.digest(**PLAIN)
    moved = {
        "script": "from ours.deep.er.eins import first\nfirst()\n",
        # Sorted as their new names are, and the module under its new name.
        "deep__er__eins": "import numpy\nfrom ours.deep import drei\n"
        "from ours.zwei import second\n\ndef first():\n    return second(), drei.third, numpy\n",
        "zwei": PLAIN["two"],
        "deep__drei": PLAIN["three"],
    }
    assert written.digest(**moved) == plain
    named = PLAIN["one"].replace("import three", "import three as drei")
    assert written.digest(**PLAIN | {"one": named.replace("three.third", "drei.third")}) == plain


@pytest.mark.parametrize(
    "changes",
    [
        {"script": "from ours.one import first\nfirst(1)\n"},
        {"one": PLAIN["one"].replace("(), three", "(1), three")},
        {"two": "def second():\n    return 3\n"},
        {"three": "third = 4\n"},
        {"one": PLAIN["one"].replace("import second", "import third as second")},
        {"one": PLAIN["one"].replace("import three", "import two as three")},
        # Within a function.
        {"one": "def first():\n    from ours.two import second\n    return second()\n"},
    ],
)
def test_what_changes_code_that_is_imported_changes_the_digest(
    written: Written, changes: dict[str, str]
) -> None:
    assert written.digest(**PLAIN | changes) != written.digest(**PLAIN)


def test_an_import_within_a_function_counts(written: Written) -> None:
    late = PLAIN | {"one": "def first():\n    from ours.two import second\n    return second()\n"}
    other = late | {"two": "def second():\n    return 3\n"}
    assert written.digest(**late) != written.digest(**other)


def test_other_files_and_modules_by_name_count(written: Written, tmp_path: Path) -> None:
    written.digest(**PLAIN)
    page = tmp_path / "page.j2"

    def digest(text: bytes, *also: str) -> str:
        page.write_bytes(text)
        return provenance.code_digest("step", tmp_path / "script.py", page, also=also)

    assert digest(b"<p>\r\n<b>") == digest(b"<p>\n<b>")
    assert digest(b"<b>") != digest(b"<p>")
    assert digest(b"<b>", "ours.other") != digest(b"<b>") != digest(b"<b>", "other")
    assert digest(b"<b>", "ours.other") == digest(b"<b>", "other")


def test_the_snakefile_imports_nothing_heavy() -> None:
    rules = (PACKAGE.parents[1] / "rules").glob("*.smk")
    imports = re.compile(r"^from lookalike\S* import (?:\([^)]*\)|.*)", re.MULTILINE)
    ours = "\n".join(found for rule in rules for found in imports.findall(rule.read_text()))
    heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "matplotlib"}
    program = f"{ours}\nimport sys\nprint(*sys.modules.keys() & {heavy})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert "code_digest" in ours


@pytest.mark.parametrize(
    "line",
    [
        "from .two import second",
        "import ours.two",
        # Of the package's own map, which is not followed.
        "from ours import second",
        "from ours.deep import er",
        "from ours.two import second\nfrom ours.three import third as second",
        "from ours import two as m\nfrom ours import three as m",
    ],
)
def test_an_import_that_a_digest_could_not_follow_is_refused(written: Written, line: str) -> None:
    files = PLAIN | {"deep__er____init__": "", "deep____init__": "", "__init__": ""}
    written.digest(**files)
    with pytest.raises(ValueError, match=r"one\.py, line \d"):
        written.digest(**files | {"one": f"{line}\n"})


def test_the_words_of_an_error_are_results_of_the_manifest_alone() -> None:
    digests = {step: "errors" in reachable(step, SCRIPTS / f"{step}.py") for step in STEPS}
    assert {step for step, counts in digests.items() if counts} == {"manifest"}


def test_the_code_of_a_head_is_nothing_to_other_networks_nor_to_kept_features() -> None:
    heads = {inside(head.module) for head in HEADS}
    assert not heads & reachable("train", SCRIPTS / "train.py", ["lookalike.models.cnn4"])
    forward = file_of("embedding.forward")
    for network in (known for known in MODELS if known.is_backbone):
        features = reachable("embed", forward, [*filling.OF_BACKBONES, network.module])
        assert not heads & features
        assert {"models.backbones.networks", "models.backbones.fusion"} <= features
        # What embeds by a whole network of a recipe counts its head.
        model = {"name": network.name, "head": "mlp"}
        assert "lookalike.models.heads.mlp" in modules_of_network(model)
