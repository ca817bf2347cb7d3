"""What the package offers to users, and what its docs say of it."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lookalike
from lookalike import LookalikeError, evaluate
from lookalike.cli import main
from lookalike.embedding.tables import write_embeddings
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import write_json
from support.models import IMAGE, MODEL
from support.ranked import normal

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
HEAVY = {"numpy", "pandas", "pyarrow", "torch", "PIL", "numba", "scipy", "jinja2"}


def test_the_map_names_every_package_in_its_own_words() -> None:
    folder = Path(lookalike.__file__).parent
    for module in pkgutil.iter_modules([str(folder)]):
        if module.ispkg:
            words = importlib.import_module(f"lookalike.{module.name}").__doc__ or ""
            assert f"\n- `{module.name}`: {words.splitlines()[0]}\n" in (lookalike.__doc__ or "")
        else:
            assert f"`{module.name}`" in (lookalike.__doc__ or "")


def test_both_maps_have_the_packages_in_the_order_in_which_they_may_import() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    folder = Path(lookalike.__file__).parent
    packages = [name for name in contract["layers"] if (folder / name / "__init__.py").exists()]
    told = (lookalike.__doc__ or "").partition("The packages")[2].partition("single modules")[0]
    assert re.findall(r"^- `(\w+)`: ", told, re.M) == packages
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    listed = contributing.partition("workflow/lookalike/ ")[2].partition("workflow/schemas/")[0]
    assert re.findall(r"\b(\w+)/", listed) == packages


def test_importing_the_package_loads_nothing_heavy_and_every_name_resolves() -> None:
    program = (
        "import sys, lookalike\n"
        "names = dir(lookalike)\n"
        f"print(*sys.modules.keys() & {HEAVY})\n"
        "assert set(lookalike.__all__) <= set(names)\n"
        "for name in lookalike.__all__:\n"
        "    value = getattr(lookalike, name)\n"
        "    assert name == '__version__' or value.__name__ == name and value.__doc__\n"
        "from lookalike import *\n"
        "print(evaluate.__module__, search.__module__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == [
        "",
        "lookalike.retrieval.evaluation lookalike.retrieval.search",
        "",
    ]


def test_the_names_for_type_checkers_are_those_that_resolve() -> None:
    tree = ast.parse(Path(lookalike.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    stated = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert stated == lookalike._MODULES
    assert {*stated, "__version__"} == set(lookalike.__all__)


def python_blocks() -> list[Any]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if "snakefile:" not in block.group(1):
                line = text[: block.start()].count("\n") + 1
                name = f"{page.relative_to(ROOT)}:{line}"
                found.append(pytest.param(block.group(1), id=name))
    return found


@pytest.mark.parametrize("code", python_blocks())
def test_the_docs_import_from_the_package_alone(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lookalike"):
            assert node.module == "lookalike"
            assert {alias.name for alias in node.names} <= set(lookalike.__all__)
        elif isinstance(node, ast.Import):
            assert not [alias for alias in node.names if alias.name.startswith("lookalike.")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_docs_name_is_there(page: Path) -> None:
    for name in re.findall(r"`lookalike\.([A-Za-z_.]+)[(`]", page.read_text(encoding="utf-8")):
        assert name in lookalike.__all__


def table(path: Path, name: str, n: int, seed: int) -> Path:
    vectors = normal(n, 6, seed=seed)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    columns = {
        "image_id": [f"{name}{at}" for at in range(n)],
        "label": [at % 7 for at in range(n)],
        "embedding": list(vectors),
    }
    pq.write_table(pa.table(columns), path)
    return path


def export_of_colours(folder: Path) -> None:
    """A run whose embeddings are mean colours, as ONNX, and a photo to look for in its gallery."""
    values = [
        onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", "h", "w", 3]),
        onnx.helper.make_tensor_value_info("embeddings", onnx.TensorProto.FLOAT, ["n", 3]),
    ]
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["floats", "axes"], ["embeddings"], keepdims=0),
    ]
    axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
    graph = onnx.helper.make_graph(nodes, "colours", values[:1], values[1:], [axes])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
    )
    exported = folder / "results" / "default.0" / "export"
    exported.mkdir()
    onnx.save(model, exported / "model_of_images.onnx")
    model_of_colours(exported.parent)
    Image.new("RGB", (9, 7), "blue").save(folder / "photo.jpg")


def model_of_colours(run: Path) -> None:
    """A network whose embeddings are as wide, and a gallery that is said to be embedded by it."""
    settings: dict[str, Any] = MODEL | {"embedding_dim": 3}
    digest = save_model(
        build_model(ModelSettings.from_dict(settings), 16),
        run / "model.safetensors",
        run / "model.json",
        settings=settings,
        image=replace(IMAGE, size=16).to_dict(),
        facts={},
    )
    gallery, names = run / "embeddings" / "gallery.parquet", ["r", "g", "b"]
    told = {"model_digest": digest, "score": "cosine"}
    write_embeddings(gallery, names, names, names, np.eye(3, dtype=np.float32), told)
    write_json(gallery.with_suffix(".json"), told)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the docs' examples read."""
    folder = tmp_path_factory.mktemp("examples")
    table(folder / "queries.parquet", "q", 40, 1)
    table(folder / "gallery.parquet", "g", 90, 2)
    # What examples write a table of; tests/unit/embedding/test_array_files.py reads it.
    arrays = pd.DataFrame(
        {"image_id": ["a", "b", "c"], "label": ["x", "x", "y"], "e0": [0.5, 1, 2]}
    )
    arrays.to_csv(folder / "embeddings.csv", index=False)
    np.save(folder / "embeddings.npy", arrays[["e0"]])
    (folder / "query.parquet").touch()
    Image.new("RGB", (9, 7)).save(folder / "scan.tif")
    for seed, run in enumerate(("default.0", "other.0")):
        found = evaluate(
            {**pd.read_parquet(folder / "queries.parquet"), "embedding": normal(40, 6, seed=seed)},
            {**pd.read_parquet(folder / "gallery.parquet"), "embedding": normal(90, 6, seed=9)},
            score="cosine",
            bootstrap=0,
        )
        (folder / "results" / run).mkdir(parents=True)
        pq.write_table(found.per_query, folder / "results" / run / "per_query.parquet")
    (folder / "results" / "manifest").mkdir()
    export_of_colours(folder)
    manifest = {"image_id": ["a.png"], "status": ["empty_file"], "detail": ["it is empty"]}
    pq.write_table(pa.table(manifest), folder / "results" / "manifest" / "train.parquet")
    return folder


@pytest.mark.parametrize("code", python_blocks())
def test_the_docs_examples_run(code: str, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(examples)
    before = set(examples.iterdir())
    exec(compile(code, "docs", "exec"), {})
    assert set(examples.iterdir()) == before


@pytest.mark.parametrize("exclude", ["none", "same_id"])
def test_evaluate_gives_what_the_command_writes(tmp_path: Path, exclude: str) -> None:
    query = table(tmp_path / "q.parquet", "x", 50, 1)
    gallery = table(tmp_path / "g.parquet", "x", 200, 2)
    settings = MetricsSettings(
        k=[1, 5], exclude=exclude, bootstrap_unit="class", no_relevant="zero"
    )
    written = evaluate_files(query, gallery, tmp_path / "out", settings)
    given: dict[str, Any] = {
        "k": [5, 1],
        "exclude": exclude,
        "bootstrap_unit": "class",
        "no_relevant": "zero",
    }
    in_memory = [pd.read_parquet(path) for path in (query, gallery)]
    columns = [
        {
            **{name: frame[name].tolist() for name in frame},
            "embedding": np.stack(frame["embedding"].tolist()),
        }
        for frame in in_memory
    ]
    arrow = [pq.read_table(path) for path in (query, gallery)]
    for one, other in ((str(query), gallery), in_memory, columns, arrow):
        found = evaluate(one, other, **given)
        assert found.summary == written
        for name in ("per_query", "rankings"):
            expected = pq.read_table(tmp_path / "out" / f"{name}.parquet")
            assert getattr(found, name).equals(expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": None}, r"the queries: there is no column 'label'"),
        ({"image_id": None}, r"the queries: there is no column 'image_id'"),
        ({"label": ["a", None, "b"]}, r"the queries: column 'label' has empty values"),
        ({"label": ["a", " ", "b"]}, r"the queries: column 'label' is empty or blank in 1 row"),
        ({"label": ["a", "b"]}, r"the queries: column 'label' has 2 rows, 'embedding' has 3"),
        ({"embedding": [[1.0, 2.0]] * 3}, r"the queries holds embeddings of 2 values, the gallery"),
        ({"embedding": [[1.0] * 4] * 3}, r"the queries and the gallery do not both state"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changed: dict[str, Any], message: str) -> None:
    whole = {"image_id": list("abc"), "label": list("xyx"), "embedding": np.eye(3, 4)}
    queries = {name: values for name, values in (whole | changed).items() if values is not None}
    with pytest.raises(LookalikeError, match=message):
        evaluate(queries, whole)


@pytest.mark.parametrize("page", ["README.md", "docs/metrics.md"])
def test_the_line_for_arrays_scores_vectors_of_any_length(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (ROOT / page).read_text().splitlines()
    (line,) = [one for one in lines if re.match(r" *lookalike evaluate \S+\.npy ", one)]
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for path in re.findall(r"\S+\.npy", line):
        np.save(path, rng.normal(size=(6, 4)))
    for path in re.findall(r"\S+\.csv", line):
        Path(path).write_text("label\n" + "a\nb\nc\n" * 2)
    assert main(shlex.split(line)[1:]) == 0
    (written,) = tmp_path.glob("*/metrics.json")
    assert json.loads(written.read_text())["score"] == "cosine"
