"""What a change of the code or of a setting costs: the jobs that run again, by the real Snakemake.

Two runs, `default.0` (multi_similarity) and `other.0` (ntxent), of a checkout that is edited; each
row makes one change, and takes it back. Rows of a kind that is here already are `long`.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.config import merge
from support.drawings import write_data
from support.project import ROOT
from support.snakemake_runs import FINAL, QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow

SCORED = {"metrics": 4, "threshold": 2, **FINAL}
EMBEDDED = {"embed": 8, **SCORED}
TRAINED = {"train": 2, **EMBEDDED}
# Of one run: the network before its first step is made anew with it.
ONE_TRAINED = {"train": 1, "embed": 4, "metrics": 2, "threshold": 1, **FINAL}
ALL = {"manifest": 1, "pixels": 1, **TRAINED}

NEW_METRIC = """
METRICS = (
    *METRICS,
    Metric(
        "mean_reciprocal",
        lambda ranks: 1.0 / np.minimum.reduceat(ranks.values, ranks.starts[:-1]),
        None,
        formula="1 / rank of the first relevant item",
        chance_formula=None,
        sentence="Mean of 1 / place of the first right image.",
    ),
)
"""


class Checkout:
    """A copy of the project, and a folder in which its workflow has made two runs."""

    def __init__(self, folder: Path) -> None:
        self.code, self.folder = folder / "checkout", folder / "project"
        for name in ("Snakefile", "config.yaml", "rules", "workflow", "profiles"):
            source, target = ROOT / name, self.code / name
            target.parent.mkdir(exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        recipe = merge(QUICK["recipes"]["default"], {"epochs": 1})
        other = {"loss": {"name": "ntxent"}}
        self.settings: dict[str, Any] = merge(
            QUICK,
            {
                "data": {"root": str(folder / "data")},
                "runs": ["default", "other"],
                "recipes": {"default": recipe, "other": merge(recipe, other)},
                "metrics": {"k": [1, 5], "bootstrap": 0},
            },
        )
        write_data(folder / "data", train_classes=6, test_classes=3)
        write_settings(self.folder, self.settings)
        self.run()

    def run(self, *arguments: str) -> Run:
        done = snakemake(self.folder, *arguments, snakefile=self.code / "Snakefile")
        assert done.status == 0, done.output
        return done

    def planned(self) -> dict[str, int]:
        """How many jobs of each rule a run would start."""
        listed = re.findall(r"^(\w+) +(\d+)$", self.run("-n").output, re.MULTILINE)
        return {rule: int(n) for rule, n in listed if rule not in ("all", "total")}

    def append(self, file: str, text: str) -> None:
        with (self.code / "workflow" / "lookalike" / file).open("a") as stream:
            stream.write(text)

    def put_back(self, file: str) -> None:
        place = Path("workflow") / "lookalike" / file
        shutil.copy(ROOT / place, self.code / place)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("costs"))


@pytest.fixture
def checkout(kept: Checkout, tmp_path: Path) -> Any:
    """The checkout, which is as it was afterwards."""
    shutil.copytree(kept.code, tmp_path / "checkout")
    yield kept
    shutil.rmtree(kept.code)
    shutil.copytree(tmp_path / "checkout", kept.code)
    write_settings(kept.folder, kept.settings)


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        pytest.param("data/labels.py", ALL, marks=pytest.mark.long),
        pytest.param("training/loop.py", TRAINED, marks=pytest.mark.long),
        # A variant, by the runs that name it.
        pytest.param("training/losses/multi_similarity.py", ONE_TRAINED, marks=pytest.mark.long),
        ("training/losses/ntxent.py", ONE_TRAINED),
        ("training/losses/triplet.py", {}),
        pytest.param("training/miners/multi_similarity.py", ONE_TRAINED, marks=pytest.mark.long),
        pytest.param("training/optimizers/sgd.py", {}, marks=pytest.mark.long),
        ("models/cnn4.py", TRAINED),
        # What scores held-out classes while training, and what that is made of, decides no weight.
        ("training/validation.py", {}),
        ("retrieval/ranking.py", SCORED),
        ("embedding/tables.py", EMBEDDED),
        ("retrieval/threshold_choice.py", {"threshold": 2, "report": 1}),
        # Of a way that is not asked for.
        pytest.param("retrieval/carried_answers.py", {}, marks=pytest.mark.long),
        pytest.param("steps/compare.py", FINAL, marks=pytest.mark.long),
        pytest.param("report/runs.py", FINAL, marks=pytest.mark.long),
        ("steps/report.py", {"report": 1}),
        pytest.param("../report/page.html.j2", {"report": 1}, marks=pytest.mark.long),
        pytest.param("../report/sections/data.html.j2", {"report": 1}, marks=pytest.mark.long),
        ("report/style.css", {"report": 1}),
        # When, where and with which words.
        ("jobs/preflight.py", {}),
        pytest.param("jobs/progress.py", {}, marks=pytest.mark.long),
        ("jobs/step.py", {}),
        pytest.param("storage/cache.py", {}, marks=pytest.mark.long),
        ("training/lessons.py", {"report": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_edited_code(checkout: Checkout, file: str, jobs: dict[str, int]) -> None:
    checkout.append(file, "UNUSED = 1\n")
    assert checkout.planned() == jobs


def test_the_words_of_errors_stand_in_the_manifest(checkout: Checkout) -> None:
    checkout.append("errors.py", "UNUSED = 1\n")
    assert checkout.run().jobs == {"manifest": 1}
    checkout.put_back("errors.py")
    assert checkout.run().jobs == {"manifest": 1}


def test_a_new_metric(checkout: Checkout) -> None:
    checkout.append("retrieval/metrics.py", NEW_METRIC)
    assert checkout.run().jobs == SCORED
    table = (checkout.folder / "results" / "comparison.csv").read_text()
    assert "mean_reciprocal" in table.partition("\n")[0]
    # And what was made by it is made anew without it.
    checkout.put_back("retrieval/metrics.py")
    assert checkout.run().jobs == SCORED


def new_loss(checkout: Checkout) -> None:
    package = checkout.code / "workflow/lookalike/training/losses"
    shutil.copy(package / "triplet.py", package / "new.py")
    checkout.append(
        "training/losses/table.py",
        "from dataclasses import replace\n"
        'LOSSES = Table("loss.name", "loss", *LOSSES, replace(LOSSES["triplet"], name="new", '
        'builder="lookalike.training.losses.new:build"))\n',
    )


def another_remedy(checkout: Checkout) -> None:
    table = checkout.code / "workflow/lookalike/training/losses/table.py"
    table.write_text(table.read_text().replace('remedy="raise loss.epsilon"', 'remedy="more"'))


def another_docstring(checkout: Checkout) -> None:
    checkout.append("images/pixel_store.py", '"""What is said of a constant."""\n')
    checkout.append("training/loop.py", '"""What is said of a constant."""\n')


def test_what_a_record_says_to_a_reader_is_told_anew(checkout: Checkout) -> None:
    another_remedy(checkout)
    assert checkout.planned() == {"report": 1}


def new_network(checkout: Checkout) -> None:
    package = checkout.code / "workflow/lookalike/models"
    shutil.copy(package / "cnn4.py", package / "new.py")
    checkout.append(
        "models/table.py",
        "from dataclasses import replace\n"
        'MODELS = Table("model.name", "network", *MODELS, replace(MODELS["cnn4"], name="new", '
        'builder="lookalike.models.new:build"))\n',
    )


def moved_modules(checkout: Checkout) -> None:
    """A module under another name, and one in another package."""
    package = checkout.code / "workflow/lookalike"
    (package / "storage/digests.py").rename(package / "storage/hashes.py")
    (package / "images/normalisation.py").rename(package / "models/inputs.py")
    for path in checkout.code.rglob("*"):
        if path.suffix in (".py", ".smk"):
            text = path.read_text()
            moved = text.replace("lookalike.storage.digests", "lookalike.storage.hashes").replace(
                "lookalike.images.normalisation", "lookalike.models.inputs"
            )
            if moved != text:
                path.write_text(moved)


@pytest.mark.parametrize("change", [new_loss, new_network, moved_modules, another_docstring])
def test_what_is_added_or_moved_runs_nothing(
    checkout: Checkout, change: Callable[[Checkout], None]
) -> None:
    change(checkout)
    assert checkout.planned() == {}


@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        ({"recipes": {"default": {"validation": {"every": 3}}}}, {}),
        pytest.param(
            {"recipes": {"default": {"validation": {"classes": 0.5}}}},
            ONE_TRAINED,
            marks=pytest.mark.long,
        ),
        ({"recipes": {"default": {"precision": "float32"}}}, {}),
        ({"image": {"background": "#FFF"}}, {}),
        pytest.param(
            {"image": {"background": "rgb(100%, 100%, 100%)"}}, {}, marks=pytest.mark.long
        ),
        ({"metrics": {"k": [5, 1]}}, {}),
        pytest.param({"metrics": {"k": [1, 5, 10]}}, SCORED, marks=pytest.mark.long),
        ({"threshold": {"precision": 0.9}}, {"threshold": 2, "report": 1}),
        pytest.param(
            {"threshold": {"false_positive": 0.01}},
            {"threshold": 2, "report": 1},
            marks=pytest.mark.long,
        ),
        ({"report": {"title": "Another"}}, {"report": 1}),
    ],
    ids=str,
)
def test_other_settings(checkout: Checkout, settings: dict[str, Any], jobs: dict[str, int]) -> None:
    write_settings(checkout.folder, merge(checkout.settings, settings))
    assert checkout.planned() == jobs
