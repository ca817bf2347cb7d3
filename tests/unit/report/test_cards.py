"""Which metrics stand on cards and in the table of recipes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lookalike.report.cards import card_keys, table_keys
from lookalike.retrieval.metrics import headline_keys, metrics_at

CUT_OFFS = st.lists(st.integers(1, 200), min_size=1, max_size=6, unique=True)


@given(CUT_OFFS)
def test_cards_are_of_the_table_and_the_table_is_of_what_was_scored(ks: list[int]) -> None:
    table, cards = table_keys(ks), card_keys(ks)
    assert [key for key in table if key in cards] == cards
    assert set(cards) <= set(table) <= set(metrics_at(ks))
    assert len(set(table)) == len(table)
    # Nothing of the headline leaves the table; one metric comes to it, or it is there already.
    assert [key for key in table if not key.startswith("CMC")] == headline_keys(sorted(ks))
    assert len(cards) <= 4
    found = {int(key.partition("@")[2]) for key in table if key.startswith("CMC@")}
    if 10 in ks:
        assert found == {10}
    elif len(ks) > 1:
        (k,) = found
        assert abs(sum(other < k for other in ks) - sum(other > k for other in ks)) <= 1


def test_the_default_cut_offs_and_few() -> None:
    assert card_keys([1, 10, 50]) == ["mAP@1", "CMC@10", "mAP@10", "mean_rank"]
    assert card_keys([50, 20, 5]) == ["mAP@5", "CMC@20", "mAP@20", "mean_rank"]
    assert card_keys([1]) == ["mAP@1", "mean_rank"]
