"""Nothing of the data, the results or the caches is run: no pickle, no shell, no foreign code."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike import provenance as code
from lookalike.embedding.filling import EmbedSettings
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.embed import embed_split
from lookalike.steps.metrics import evaluate_files
from lookalike.steps.train import train_run
from support import processes
from support.training import Data, job, recipe

ROOT = code.PACKAGE.parents[1]
SOURCES = [*code.PACKAGE.rglob("*.py"), *(ROOT / "workflow" / "scripts").glob("*.py")]
# They load pickles, or run what they are given.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("numpy.load", "pd.read_pickle", "yaml.unsafe_load", "yaml.full_load"),
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_code_loads_a_pickle_or_starts_a_shell(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not MODULES & {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level or (node.module or "").split(".")[0] not in MODULES
        elif isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert ast.unparse(node.func) not in CALLS
            assert "shell" not in keywords
            # NumPy's own format is read where it opens no pickle.
            assert ast.unparse(node.func) != "np.load" or keywords["allow_pickle"] == "False"
            # A backbone's weights may come in torch's own format: of it tensors alone are read.
            assert ast.unparse(node.func) != "torch.load" or keywords["weights_only"] == "True"


def test_no_rule_has_a_shell_command() -> None:
    rules = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    assert len(rules) > 5
    for path in rules:
        assert not re.search(r"^\s*(shell|run|notebook|wrapper):", path.read_text(), re.MULTILINE)


def callers() -> Iterator[str]:
    """The files of the functions that are at work."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        yield frame.f_code.co_filename


def train_embed_and_score(made: Data, folder: Path) -> None:
    """The steps that read weights, states, stores and tables; no pickle names a class to them."""
    found: list[tuple[Any, ...]] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        # numba keeps machine code beside the package, as Python does its bytecode, and finds it by
        # a pickled index: that belongs to the installation.
        if event == "pickle.find_class" and not any("/numba/" in name for name in callers()):
            found.append(arguments)

    sys.addaudithook(note)
    told = job(made, folder, recipe=recipe(epochs=2))
    train_run(told)
    # Again, from the state that is kept.
    train_run(told)
    settings = EmbedSettings(folder / "cache", "cpu", 32, 1)
    for _ in range(2):  # the second one reads from the store
        embed_split(
            Path(told.manifest),
            Path(told.folder),
            Path(told.trained) / "model.safetensors",
            folder / "embeddings.parquet",
            folder / "embeddings.json",
            [],
            settings,
        )
    table = folder / "embeddings.parquet"
    evaluate_files(
        table,
        table,
        folder / "scores",
        MetricsSettings(k=[1], exclude="same_content", bootstrap=0),
    )
    assert not found, found


def test_no_step_loads_a_pickle(made: Data, tmp_path: Path) -> None:
    assert processes.exit_code(processes.start(train_embed_and_score, made, tmp_path)) == 0


def load_a_pickle() -> None:
    import collections
    import pickle

    content, found = pickle.dumps(collections.OrderedDict()), list[str]()
    sys.addaudithook(lambda event, _: found.append(event) if "pickle" in event else None)
    pickle.loads(content)
    assert "pickle.find_class" in found


def test_a_pickle_would_be_noticed() -> None:
    assert processes.exit_code(processes.start(load_a_pickle)) == 0
