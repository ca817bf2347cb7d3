"""A run is searched when its model, its gallery and the manifest belong together."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.errors import LookalikeError
from lookalike.searching.answer_rule import answer_rule
from lookalike.searching.chosen_run import open_run, read_gallery_names
from lookalike.storage.files import write_parquet
from support.searched import RUN, Searched, make_searched


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


@pytest.fixture
def made(kept: Searched, tmp_path: Path) -> Searched:
    return kept.copy(tmp_path / "project")


def opened(made: Searched, name: str | None = None) -> None:
    run = open_run(made.results, name)
    answer_rule(run, read_gallery_names(run, made.results))


def test_the_first_run_of_the_comparison_is_taken(made: Searched) -> None:
    shutil.copytree(made.run, made.results / "other.3")
    rows = {"run": ["other.3", RUN], "state": ["trained", "trained"]}
    write_parquet(made.results / "comparison.parquet", pa.table(rows))
    run = open_run(made.results)
    assert (run.name, run.results) == ("other.3", made.results)
    assert run.places["gallery"] == made.data / "gallery"
    assert open_run(made.results, RUN).name == RUN


@pytest.mark.parametrize(("scores", "chosen"), [((0.2, 0.7), RUN), ((0.7, 0.2), "other.3")])
def test_the_run_that_the_report_shows_first_is_taken(
    made: Searched, scores: tuple[float, float], chosen: str
) -> None:
    shutil.copytree(made.run, made.results / "other.3")
    runs = ["other.3", RUN]
    rows = {"run": runs, "state": ["trained", "trained"]}
    write_parquet(made.results / "comparison.parquet", pa.table(rows))
    for run, score in zip(runs, scores, strict=True):
        history = {"epoch": [1], "validation_mAP@10": [score], "kept": [True]}
        write_parquet(made.results / run / "history.parquet", pa.table(history))
        edit(made.results / run / "model.json", settings={"validation": {"of": "auto"}})
    assert open_run(made.results).name == chosen
    # Of a run that was handed on without its training, nothing is known.
    (made.results / RUN / "history.parquet").write_bytes(b"")
    assert open_run(made.results).name == "other.3"


def test_a_state_of_a_run_can_be_named(made: Searched) -> None:
    shutil.copytree(made.run, made.run / "untrained")
    opened(made, f"{RUN}/untrained")
    run = open_run(made.results, f"{RUN}/untrained")
    assert (run.folder, run.results) == (made.run / "untrained", made.results)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def of_another_model(made: Searched) -> None:
    edit(made.run / "embeddings" / "gallery.json", model_digest="f" * 32)


def of_another_score(made: Searched) -> None:
    model = json.loads((made.run / "model.json").read_text())["model"]
    edit(made.run / "model.json", model=model | {"normalize": False})


def without_a_network(made: Searched) -> None:
    edit(made.run / "model.json", model={"name": "cnn4"})


def without_a_size(made: Searched) -> None:
    edit(made.run / "model.json", image={})


def table_of_another_model(made: Searched) -> None:
    path = made.run / "embeddings" / "gallery.parquet"
    table = pq.read_table(path)
    told = json.loads(table.schema.metadata[b"lookalike"]) | {"model_digest": "e" * 32}
    write_parquet(path, table.replace_schema_metadata({"lookalike": json.dumps(told)}))


def foreign_table(made: Searched) -> None:
    path = made.run / "embeddings" / "gallery.parquet"
    write_parquet(path, pq.read_table(path).replace_schema_metadata(None))


def relabelled(made: Searched) -> None:
    path = made.results / "manifest" / "gallery.parquet"
    table = pq.read_table(path)
    labels = pa.array(["other", *table["label"].to_pylist()[1:]])
    write_parquet(path, table.set_column(table.schema.get_field_index("label"), "label", labels))


def with_one_image_less(made: Searched) -> None:
    path = made.results / "manifest" / "gallery.parquet"
    write_parquet(path, pq.read_table(path).slice(1))


def cut(name: str) -> Callable[[Searched], None]:
    def change(made: Searched) -> None:
        path = made.results / name
        path.write_bytes(path.read_bytes()[:-20])

    return change


def without(name: str) -> Callable[[Searched], None]:
    return lambda made: (made.results / name).unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_another_model, r"gallery\.json: is stale: it is of model f+, .* Run the workflow"),
        (
            of_another_score,
            r"model\.json: its network is compared by euclidean, and .* says cosine",
        ),
        (without_a_network, r"model\.json: is damaged: its settings are not those of a network"),
        (without_a_size, r"model\.json: is damaged"),
        (table_of_another_model, r"gallery\.parquet: is stale: it is of model e+"),
        (foreign_table, r"gallery\.parquet: is stale: it is of no known model"),
        (relabelled, r"gallery\.parquet: is stale: images or labels .* Run the workflow"),
        (with_one_image_less, r"gallery\.parquet: is stale: images or labels"),
        (
            cut(f"{RUN}/model.json"),
            r"model\.json: is damaged.*\. Delete it\. Run the workflow again",
        ),
        (
            cut(f"{RUN}/metrics.json"),
            r"metrics\.json: is damaged.*\. Delete it\. Run the workflow again",
        ),
        (cut(f"{RUN}/embeddings/gallery.json"), r"gallery\.json: is damaged"),
        (cut(f"{RUN}/embeddings/gallery.parquet"), r"gallery\.parquet: not a readable parquet"),
        (cut("manifest/gallery.parquet"), r"manifest/gallery\.parquet: not a readable parquet"),
        (
            cut("manifest/places.json"),
            r"places\.json: is damaged.*\. Delete it\. Run the workflow again",
        ),
        (cut("comparison.parquet"), r"comparison\.parquet: not a readable parquet"),
        (without(f"{RUN}/metrics.json"), r"metrics\.json: there is no such file\. Run the workfl"),
        (without(f"{RUN}/model.safetensors"), r"model\.safetensors: there is no such file"),
        (without(f"{RUN}/embeddings/gallery.json"), r"gallery\.json: there is no such file"),
        (without(f"{RUN}/embeddings/gallery.parquet"), r"gallery\.parquet: there is no such"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_the_remedy(
    made: Searched, change: Callable[[Searched], None], message: str
) -> None:
    change(made)
    with pytest.raises(LookalikeError, match=message):
        opened(made)


def test_where_nothing_was_compared_the_only_run_is_taken(made: Searched) -> None:
    (made.results / "comparison.parquet").unlink()
    assert open_run(made.results).name == RUN
    shutil.copytree(made.run, made.results / "other.3")
    with pytest.raises(LookalikeError, match=r"which run is .* --run default\.0 or --run other\.3"):
        open_run(made.results)
    assert open_run(made.results, "other.3").name == "other.3"


@pytest.mark.parametrize("name", ["defualt.0", "default", "../results/default.0", "default.0/x"])
def test_a_run_that_is_not_there_is_named_with_the_nearest(made: Searched, name: str) -> None:
    with pytest.raises(LookalikeError, match=r"there is no run .*(default\.0)"):
        opened(made, name)


@pytest.mark.parametrize("state", ["whitened", "expanded", "reranked"])
def test_a_state_without_a_network_is_none_to_search_by(made: Searched, state: str) -> None:
    with pytest.raises(
        LookalikeError, match=f"default.0/{state}: this state .* the run, default.0"
    ):
        opened(made, f"default.0/{state}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "there is no such folder"),
        ("data/train_image_info.json", "is not a folder"),
        (f"results/{RUN}", rf"is the folder of a run; .* --run {RUN}"),
        ("data", r"comparison\.parquet: there is no such file.*no finished runs"),
        ("x" * 300, "cannot be read|there is no such folder"),
    ],
)
def test_what_is_no_results_folder_is_said(kept: Searched, name: str, message: str) -> None:
    with pytest.raises(LookalikeError, match=message):
        open_run(kept.root / name)


def test_results_without_a_manifest_or_places_can_be_searched(made: Searched) -> None:
    shutil.rmtree(made.results / "manifest")
    opened(made)
    assert open_run(made.results).places == {}
    folder = made.data / "gallery"
    assert open_run(made.results, gallery_folder=folder).places == {"gallery": folder}
    with pytest.raises(LookalikeError, match="--gallery-folder"):
        open_run(made.results, gallery_folder=made.root / "absent")
