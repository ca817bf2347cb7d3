import ast
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike import code

# They change what is said or where it is done, not what is made; `code` makes the digests.
LEFT_OUT = {"code", "devices", "errors", "logs", "progress"}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, as its syntax tree tells."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lookalike."):
            found.add(str(node.module).removeprefix("lookalike."))
        elif isinstance(node, ast.ImportFrom) and node.module == "lookalike":
            found |= {name.name for name in node.names}
    return {name for name in found if (code.PACKAGE / f"{name}.py").exists()} - LEFT_OUT


def reachable(path: Path) -> set[str]:
    """All modules that a file imports, directly or through others."""
    seen: set[str] = set()
    todo = imported(path)
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= imported(code.PACKAGE / f"{name}.py") - seen
    return seen


@pytest.mark.parametrize("step", code.STEPS)
def test_a_steps_modules_are_those_its_script_imports(step: str) -> None:
    assert set(code.STEPS[step]) == reachable(code.SCRIPTS / f"{step}.py")


def test_every_script_is_a_step() -> None:
    assert {path.stem for path in code.SCRIPTS.glob("*.py")} == set(code.STEPS)


@pytest.mark.parametrize("step", code.STEPS)
def test_a_steps_libraries_are_those_its_modules_import(step: str) -> None:
    sources = [code.PACKAGE / f"{module}.py" for module in code.STEPS[step]]
    used = {
        name.split(".")[0]
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        for name in names_in(node)
    }
    expected = {library for name, library in code.SHAPING.items() if name in used}
    assert set(code.LIBRARIES[step]) == expected


def names_in(node: ast.AST) -> list[str]:
    """The modules that an import statement names."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [name.name for name in node.names] if isinstance(node, ast.Import) else []


def test_a_comment_or_formatting_changes_no_digest_and_code_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, scripts = tmp_path / "package", tmp_path / "scripts"
    package.mkdir()
    scripts.mkdir()
    monkeypatch.setattr(code, "PACKAGE", package)
    monkeypatch.setattr(code, "SCRIPTS", scripts)
    monkeypatch.setattr(code, "STEPS", {"step": ("one", "two")})
    (package / "two.py").write_text("B = 2\n")
    (scripts / "step.py").write_text("print(1)\n")

    def digest_with(source: str) -> str:
        code._digest_of_source.cache_clear()
        (package / "one.py").write_text(source)
        return code.code_digest("step")

    plain = digest_with("A = [1, 2]\n")
    assert digest_with('"""What."""\n# why\nA = [\n    1,\n    2,\n]\n') == plain
    assert digest_with("A = [1, 3]\n") != plain
    (scripts / "step.py").write_text("print(2)\n")
    assert digest_with("A = [1, 2]\n") != plain
    modules = code.modules_digest("one")
    digest_with("A = [1, 3]\n")
    assert code.modules_digest("one") != modules
    code._digest_of_source.cache_clear()


def test_the_snakefile_imports_nothing_heavy() -> None:
    common = (code.PACKAGE.parents[1] / "rules" / "common.smk").read_text().splitlines()
    ours = "\n".join(line for line in common if line.startswith("from lookalike."))
    heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "matplotlib"}
    program = f"{ours}\nimport sys\nprint(*sys.modules.keys() & {heavy})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert "code_digest" in ours
