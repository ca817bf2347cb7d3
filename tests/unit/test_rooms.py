"""The tests mirror the package: a room a package, a file a module, helpers in support/ alone."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest

from support.project import ROOT

PACKAGE, TESTS = ROOT / "workflow" / "lookalike", ROOT / "tests"
UNIT = TESTS / "unit"
MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix()
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
)
# Modules that have no test of their name: where they are tested, below tests/, and why there.
TESTED_ELSEWHERE = {
    "compilation": ("hostile/test_full_disk.py", "what it does shows where nothing can be written"),
    "errors": ("unit/images/test_decoding.py", "its classes are what the refusals raise"),
    "records": ("unit/training/test_variants.py", "every record is held to what it speaks of"),
    "text": ("unit/data/test_quality.py", "names and labels are quoted in its sentences"),
    "commands/*": ("unit/test_cli.py", "subcommands run there as from the shell"),
    "data/class_draws": ("unit/data/test_findings.py", "its numbers stand in a sentence"),
    "data/links": ("unit/data/test_quality.py", "links to one file are one file there"),
    "data/spellings": ("unit/data/test_quality.py", "its sentences name what is nearly equal"),
    "data/manifest_table": ("unit/steps/test_manifest.py", "the table that the step writes"),
    "embedding/allocation": ("unit/steps/test_embed.py", "the memory of a whole embedding"),
    "embedding/columns": ("unit/embedding/test_tables.py", "columns are read as those of a table"),
    "embedding/forward": ("unit/models/test_cnn4.py", "a network embeds there as by hand"),
    "embedding/shards": ("unit/steps/test_embed.py", "parts make the bytes of the whole"),
    "embedding/filling": ("unit/steps/test_embed.py", "the stores that embedding fills"),
    "exporting/description": ("unit/exporting/test_export.py", "read back beside the models"),
    "exporting/places": ("unit/exporting/test_export.py", "where an export may lie"),
    "exporting/onnx_models": ("unit/exporting/test_network_graph.py", "graphs run as models there"),
    "images/as_shown": ("unit/images/test_decoding.py", "modes and orientation by hand"),
    "images/limits": ("unit/images/test_decoding.py", "refusals on the header"),
    "images/pixel_store": ("unit/steps/test_pixels.py", "the store that the step fills"),
    "images/wide_greys": ("unit/images/test_decoding.py", "greys of 16 and 32 bits by hand"),
    "importing/by_hand": ("unit/importing/test_initialise.py", "a person's work is left alone"),
    "importing/options": ("unit/importing/test_initialise.py", "options are given and kept there"),
    "importing/planning": ("unit/importing/test_initialise.py", "plans are read back there"),
    "importing/sources": ("unit/importing/test_folders.py", "what folders are read into"),
    "importing/summary": ("unit/importing/test_initialise.py", "what is said is read there"),
    "importing/writing": ("unit/importing/test_initialise.py", "what is written is read there"),
    "jobs/interruption": ("unit/training/test_loop.py", "signals arrive while it trains"),
    "jobs/torch_devices": ("unit/models/test_cnn4.py", "the device a network is put on"),
    "models/*": ("unit/models/test_table.py", "every network of the table"),
    "report/class_growth_chart": ("unit/report/test_class_growth.py", "read back from the page"),
    "report/charts_of_many": ("unit/report/test_side_by_side.py", "points are read back there"),
    "report/examples": ("unit/steps/test_report.py", "read back from the page"),
    "report/in_numbers": ("unit/steps/test_report.py", "read back from the page"),
    "report/in_pictures": ("unit/steps/test_report.py", "read back from the page"),
    "report/subject": ("unit/steps/test_report_many.py", "of many runs, what the page shows"),
    "report/numbers": ("unit/steps/test_compare.py", "numbers as its table shows them"),
    "report/results": ("unit/report/test_differences.py", "results are what differs"),
    "report/settings_table": ("unit/steps/test_report.py", "read back from the page"),
    "report/small_multiples": ("unit/report/test_svg.py", "read back as all charts are"),
    "report/templating": ("unit/steps/test_report.py", "the page is what templates make"),
    "report/thumbnails": ("unit/steps/test_report.py", "pictures as the page shows them"),
    "setting_faults": ("unit/test_config.py", "mistakes as resolve tells them"),
    "old_names": ("unit/test_config.py", "settings with old names are resolved"),
    "report/verdicts_in_words": ("unit/report/test_verdicts.py", "what verdicts say"),
    "steps/selection": ("unit/steps/test_select.py", "the table of what is decided there"),
    "sweeps/extending": ("unit/sweeps/test_expansion.py", "recipes that extend others, resolved"),
    "sweeps/merging": ("unit/test_config.py", "settings are laid over each other there"),
    "sweeps/paths": ("unit/sweeps/test_expansion.py", "every path of the settings is swept"),
    "retrieval/candidates": ("unit/steps/test_augment.py", "neighbours within a category"),
    "retrieval/arrays": ("unit/retrieval/test_ranking.py", "names of types alone"),
    "retrieval/counting": ("unit/retrieval/test_ranking.py", "ranks are counts"),
    "retrieval/evaluation": ("unit/steps/test_metrics.py", "the step writes what it returns"),
    "retrieval/random_order": ("unit/retrieval/test_chance.py", "the exact chance values"),
    "retrieval/rankings_table": ("unit/retrieval/test_search.py", "the same of both"),
    "retrieval/ranks": ("unit/retrieval/test_metrics.py", "metrics are functions of them"),
    "retrieval/relevance": ("unit/retrieval/test_ranking.py", "labels, ties and exclusions there"),
    "retrieval/rounding": ("unit/steps/test_metrics.py", "what is told of vectors by their table"),
    "retrieval/score_choice": ("unit/steps/test_metrics.py", "which score tables ask for"),
    "retrieval/scores": ("unit/retrieval/test_ranking.py", "scores are tested with their order"),
    "retrieval/settings": ("unit/steps/test_metrics.py", "settings that cannot be are refused"),
    "retrieval/streams": ("unit/retrieval/test_ranking.py", "blocks of every size"),
    "retrieval/strips": ("unit/retrieval/test_ranking.py", "strips of every size"),
    "retrieval/tables": ("unit/steps/test_metrics.py", "tables of every kind are read"),
    "steps/expand": ("unit/steps/test_augment.py", "what a query leaves out, in all of them"),
    "steps/scale": ("unit/steps/test_augment.py", "what a query leaves out, in all of them"),
    "steps/fit_projection": ("workflow/test_search_side.py", "tables of a run"),
    "steps/hubness": ("workflow/test_search_side.py", "the file of a run"),
    "steps/project": ("workflow/test_search_side.py", "tables of a run"),
    "steps/quantize": ("workflow/test_search_side.py", "tables of a run"),
    "steps/rerank": ("workflow/test_search_side.py", "metrics of a run"),
    "steps/train_worker": ("unit/training/test_distributed.py", "processes are started by it"),
    "storage/numpy_files": ("unit/embedding/test_array_files.py", "arrays of every kind are read"),
    "storage/digests": ("unit/images/test_resizing.py", "digests of settings"),
    "storage/rows": ("unit/steps/test_train.py", "rows of every kind that a training asks for"),
    "storage/strays": ("unit/embedding/test_parts.py", "litter among the parts of a table"),
    "storage/verified": ("unit/storage/test_row_store_verified.py", "notes of what was hashed"),
    "storage/yaml_files": ("unit/test_config.py", "settings files of every kind"),
    "training/augmentation": ("unit/training/test_loop.py", "a trained image is augmented there"),
    "training/checkpoints": ("unit/training/test_loop.py", "trainings go on from them there"),
    "training/decks": ("unit/training/test_sampling.py", "batches are drawn from them"),
    "training/features": ("unit/steps/test_train_head.py", "what a head is trained on"),
    "training/feeds": ("unit/training/test_loop.py", "what a network is trained on there"),
    "training/health": ("unit/training/test_loop.py", "trainings that go wrong are stopped there"),
    "training/job": ("unit/steps/test_train.py", "jobs are run there"),
    "training/launch": ("unit/training/test_distributed.py", "processes are launched there"),
    "training/lessons": ("unit/training/test_loop.py", "trainings that teach nothing are there"),
    "training/optimization": ("unit/training/test_loop.py", "rates and precisions of a training"),
    "training/augmentations/*": ("unit/training/test_loop.py", "images before and after"),
    "training/losses/*": ("unit/training/test_losses.py", "each loss against a loop or a library"),
    "training/miners/*": ("unit/training/test_miners.py", "with the losses that they choose for"),
    "training/optimizers/*": ("unit/training/test_loop.py", "rates and steps of a training"),
    "training/samplers/*": ("unit/training/test_sampling.py", "what is promised of batches"),
    "training/schedules/*": ("unit/training/test_loop.py", "rates by closed form"),
    "training/plan": ("unit/training/test_loop.py", "what is said before a training"),
    "training/recipe": ("unit/training/test_decisive.py", "recipes of every kind"),
    "training/views": ("unit/steps/test_train_head.py", "the views that a head is trained on"),
    "training/validation": ("unit/training/test_loop.py", "scored while it trains"),
}


def test_each_module_has_a_test_of_its_name_or_is_said_to_be_tested_elsewhere() -> None:
    without = [name for name in MODULES if not own_test(name).exists()]
    idle = [known for known in TESTED_ELSEWHERE if not fnmatch.filter(without, known)]
    assert idle == [], "these have a test of their own, or go"
    unknown = [n for n in without if not any(fnmatch.fnmatch(n, k) for k in TESTED_ELSEWHERE)]
    assert unknown == []
    assert not [place for place, _ in TESTED_ELSEWHERE.values() if not (TESTS / place).exists()]


def own_test(module: str) -> Path:
    path = UNIT / module
    return path.with_name(f"test_{path.name}.py")


def test_each_file_of_a_room_is_named_after_a_module_of_its_package() -> None:
    rooms = {path for path in UNIT.iterdir() if (path / "__init__.py").exists()}
    assert {room.name for room in rooms} <= {path.name for path in PACKAGE.iterdir()}
    for room in rooms:
        # A package within a package is tested as a module would be: training/losses.
        modules = [path.stem for path in (PACKAGE / room.name).iterdir()]
        for path in room.glob("test_*.py"):
            name = path.stem.removeprefix("test_")
            # Further files of a module say of what: test_metrics_peers.
            assert any(name == module or name.startswith(f"{module}_") for module in modules), (
                f"{path}: named after no module of its package"
            )


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_imported_from_a_file_of_tests(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not [name for name in names if name.rpartition(".")[2].startswith("test_")], path


def test_what_tests_share_lies_in_support() -> None:
    others = [
        path
        for path in TESTS.rglob("*.py")
        if not path.is_relative_to(TESTS / "support")
        and not path.is_relative_to(TESTS / "fuzz")
        and not path.stem.startswith(("test_", "conftest", "__init__"))
    ]
    assert others == []


# What each variant has, and each command.
SHARED = {"build", "log", "main"}


def test_no_public_name_means_two_things() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [getattr(node, "name", "")]
            if isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign):
                names = [ast.unparse(node.target)]
            for name in names:
                if name and not name.startswith("_"):
                    places.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in SHARED} == {}
