"""Garbage is looked for again once all is there, whatever happened."""

import gc

import pytest

from lookalike.searching.starting import uncollected


def test_it_is_looked_for_again() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    with pytest.raises(ZeroDivisionError), uncollected():
        raise ZeroDivisionError
    assert gc.isenabled()
