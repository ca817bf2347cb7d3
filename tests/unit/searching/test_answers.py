"""Answers are the heads of the run's own rankings, and a sorted product of all pairs."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedding.tables import read_vectors
from lookalike.errors import LookalikeError
from lookalike.searching.answers import AnswerSet, SearchedGallery
from lookalike.searching.chosen_run import open_run
from lookalike.searching.image_files import ImageFile
from lookalike.searching.new_images import ImageEmbedder, LeftOut
from support.searched import COPIED, LINKED, Searched, make_searched


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def answers_for(made: Searched, paths: list[Path], k: int, **changes: object) -> AnswerSet:
    places = {"places": changes.pop("places")} if "places" in changes else {}
    run = replace(open_run(made.results), **places)  # type: ignore[arg-type]
    rule = replace(SearchedGallery(run).rule, **changes)  # type: ignore[arg-type]
    files = [ImageFile(str(path), path, found=False) for path in paths]
    (images,) = ImageEmbedder(run.weights, "cpu").embed(files, LeftOut("fail"))
    gallery = SearchedGallery(run, rule)
    return gallery.of_images(images.files, images.sha256s, images.vectors, k)


def flat(answers: AnswerSet) -> list[tuple[str, int, str, float]]:
    return [
        (Path(answer.query).name, answer.place, answer.gallery_id, answer.score)
        for found in answers
        for answer in found
    ]


@pytest.mark.parametrize("exclude", ["none", "same_file", "same_content", "same_id"])
def test_a_query_of_the_run_is_answered_by_its_ranking(tmp_path: Path, exclude: str) -> None:
    made = make_searched(tmp_path / "project", exclude=exclude)
    rankings = pq.read_table(made.run / "rankings.parquet").to_pylist()
    expected = [(row["query_id"], row["rank"], row["gallery_id"], row["score"]) for row in rankings]
    assert sorted(flat(answers_for(made, made.queries, 50))) == sorted(expected)
    # And a part of the queries, one of them alone, under another name.
    outside = tmp_path / "linked.png"
    outside.symlink_to(made.queries[0])
    if exclude != "same_id":
        (found,) = answers_for(made, [outside], 4)
        heads = [row[2:] for row in expected if row[0] == made.queries[0].name][:4]
        assert [(answer.gallery_id, answer.score) for answer in found] == heads
    own = {(row[0], row[2]) for row in expected if row[0] == row[2]}
    left = {"none": {LINKED, COPIED}, "same_file": {COPIED}}.get(exclude, set())
    assert {name for name, _ in own} == left


def test_a_copy_of_a_query_elsewhere_is_another_file(kept: Searched, tmp_path: Path) -> None:
    copy = tmp_path / LINKED
    shutil.copy(kept.data / "query_images" / LINKED, copy)
    (found,) = answers_for(kept, [copy], 1)
    assert found[0].gallery_id == LINKED
    assert found[0].score == pytest.approx(1, abs=1e-6)


def test_scores_are_the_products_of_all_pairs(kept: Searched) -> None:
    (queries,), (gallery,) = (
        list(read_vectors(kept.run / "embeddings" / f"{split}.parquet"))
        for split in ("query", "gallery")
    )
    product = queries.astype(np.float64) @ gallery.astype(np.float64).T
    answers = answers_for(kept, kept.queries, 1000, exclude="none")
    assert answers.places.shape == product.shape
    assert np.abs(answers.scores - -np.sort(-product, axis=1)).max() < 1e-6
    assert np.abs(np.take_along_axis(product, answers.places, 1) - answers.scores).max() < 1e-6


def test_the_gallery_in_itself_leaves_each_image_out(kept: Searched) -> None:
    run = open_run(kept.results)
    answers = SearchedGallery(run).of_itself(5)
    (gallery,) = read_vectors(kept.run / "embeddings" / "gallery.parquet")
    product = gallery.astype(np.float64) @ gallery.astype(np.float64).T
    np.fill_diagonal(product, -np.inf)
    assert np.abs(answers.scores - -np.sort(-product, axis=1)[:, :5]).max() < 1e-6
    for found in answers:
        assert found[0].query not in {answer.gallery_id for answer in found}
        assert len(found) == 5


def test_of_a_single_image_nothing_is_left_to_find(kept: Searched) -> None:
    answers = SearchedGallery(open_run(kept.results)).of_itself(10**6)
    assert {len(found) for found in answers} == {len(answers) - 1}
    assert (answers.places[:, -1] == -1).all()


def test_accepted_is_what_reaches_the_threshold(kept: Searched) -> None:
    answers = answers_for(kept, kept.queries, 3)
    assert {answer.accepted for found in answers for answer in found} == {None}
    assert not answers.is_refused.any()
    score = float(answers.scores[0, 0])
    again = replace(answers, threshold=score)
    first = next(iter(again))
    assert [answer.accepted for answer in first] == [answer.score >= score for answer in first]
    assert first[0].accepted
    assert again.is_refused.tolist() == [found[0].score < score for found in answers]
    assert again.is_refused.any()


def test_an_image_of_the_gallery_is_not_said_to_be_missing_from_it(
    kept: Searched, tmp_path: Path
) -> None:
    """Under its own name, by a link from elsewhere, or as the query that the gallery links to."""
    link = tmp_path / "link.png"
    link.symlink_to(kept.data / "gallery" / "0012_001.png")
    copy = tmp_path / "copy.png"
    shutil.copy(link, copy)
    own = kept.data / "gallery" / "0010_003.png"
    paths = [copy, own, link, kept.data / "query_images" / LINKED, kept.queries[3]]
    answers = answers_for(kept, paths, 3, threshold=2.0)
    assert answers.itself == {1: ["0010_003.png"], 2: ["0012_001.png"], 3: [LINKED]}
    assert answers.has_none_accepted.all()
    assert answers.is_refused.tolist() == [True, False, False, False, True]
    for number, (name,) in answers.itself.items():
        assert name not in {answer.gallery_id for answer in list(answers)[number]}
    # Nothing is left out, so nothing is said.
    assert answers_for(kept, paths, 3, exclude="none").itself == {}


def test_all_images_of_its_content_are_the_image_itself(kept: Searched, tmp_path: Path) -> None:
    made = kept.copy(tmp_path / "project")
    copy = tmp_path / "copy.png"
    shutil.copy(made.data / "query_images" / COPIED, copy)
    answers = answers_for(made, [copy, made.queries[3]], 3, exclude="same_content", threshold=2.0)
    assert answers.itself == {0: [COPIED]}
    assert answers.is_refused.tolist() == [False, True]
    answers = answers_for(made, [copy, made.queries[0]], 3, exclude="same_id", threshold=2.0)
    assert answers.itself == {1: [LINKED]}


def test_no_image_of_the_gallery_is_missing_from_it(kept: Searched) -> None:
    gallery = SearchedGallery(open_run(kept.results))
    gallery.rule = replace(gallery.rule, threshold=2.0)
    answers = gallery.of_itself(3)
    assert answers.of_gallery
    assert answers.has_none_accepted.all()
    assert not answers.is_refused.any()


def test_where_the_queries_are_gone_it_is_said_what_ids_cannot_tell(
    kept: Searched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    named, other = kept.queries[0], tmp_path / "x.png"
    shutil.copy(named, other)
    for places, why in (({}, "is not known"), ({"query": tmp_path / "gone"}, "gone is not there")):
        caplog.clear()
        (found, _) = answers_for(kept, [named, other], 1, exclude="same_id", places=places)
        assert found[0].gallery_id == LINKED  # left out if it were known
        assert "warning: 1 image(s) looked for are called as a gallery image is" in caplog.text
        assert "the folder of the queries " in caplog.text
        assert why in caplog.text
        caplog.clear()
        answers_for(kept, [other], 1, exclude="same_id", places=places)
        assert not caplog.records
    (found,) = answers_for(kept, [named], 1, exclude="same_id")
    assert found[0].gallery_id != LINKED
    assert not caplog.records


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=6),
    st.floats(-1, 1, width=32),
    st.sampled_from([0.0, 2.0**-24, -(2.0**-23), 1e-5]),
)
def test_a_score_reads_as_the_threshold_only_where_it_equals_it(
    scores: list[float], threshold: float, step: float
) -> None:
    scores = [*scores, float(np.float32(threshold + step))]
    answers = AnswerSet(
        ["a"],
        np.arange(len(scores))[None],
        np.array([scores], np.float32),
        {"image_id": [], "label": [], "sha256": []},
        threshold,
    )
    decimals = answers.decimals
    for score in scores:
        if decimals < 17:
            read = Decimal(f"{score:.{decimals}f}"), Decimal(f"{threshold:.{decimals}f}")
            assert (read[0] == read[1]) == (score == threshold)
            assert (read[0] > read[1]) == (score > threshold)
        assert replace(answers, threshold=None).decimals == 4
    if decimals > 4:  # and no more than it takes
        fewer = decimals - 1
        assert any(
            Decimal(f"{score:.{fewer}f}") == Decimal(f"{threshold:.{fewer}f}")
            for score in scores
            if score != threshold
        )


def test_a_query_without_any_answer_is_not_in_the_gallery() -> None:
    nothing = AnswerSet(
        ["a"],
        np.full((1, 1), -1, np.int64),
        np.zeros((1, 1), np.float32),
        {"image_id": ["x"], "label": ["y"], "sha256": ["z"]},
        threshold=-5.0,
    )
    assert nothing.is_refused.tolist() == [True]
    assert list(nothing) == [[]]


def test_where_the_images_are_gone_it_is_said_what_cannot_be_told(
    kept: Searched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (found,) = answers_for(kept, kept.queries[:1], 1, places={"gallery": tmp_path / "absent"})
    assert found[0].gallery_id == LINKED
    assert "absent is not there. Name it by --gallery-folder" in caplog.text
    caplog.clear()
    answers_for(kept, kept.queries[2:3], 1, places={})
    assert not caplog.records


def test_vectors_of_another_length_are_refused(kept: Searched) -> None:
    gallery = SearchedGallery(open_run(kept.results))
    file = ImageFile("a", Path("a"), found=False)
    with pytest.raises(LookalikeError, match="both must come from one model"):
        gallery.of_images([file], ["0" * 64], np.ones((1, 5), np.float32), 3)
