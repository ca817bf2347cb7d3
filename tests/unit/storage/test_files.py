"""What killed jobs left half-written."""

import shutil
import time
from pathlib import Path

import pytest

from lookalike.storage.files import HALF_WRITTEN, remove_half_written, whole


def test_only_what_was_half_written_goes(tmp_path: Path) -> None:
    deep = tmp_path / "run"
    with pytest.raises(RuntimeError), whole(deep / "result.json") as beside:
        shutil.copy(beside, left := beside.with_name(f"{beside.name}.x{HALF_WRITTEN}"))
        raise RuntimeError
    others = [deep / "result.json", deep / ".result.json.seal", deep / ".holiday.mkv.part"]
    for path in others:
        path.touch()
    remove_half_written([deep], older_than=time.time() - 60)
    assert left.exists()
    remove_half_written([tmp_path], older_than=time.time() + 1)
    assert left.exists()  # not below: there, another run may be at work
    remove_half_written([deep], older_than=time.time() + 1)
    assert sorted(deep.iterdir()) == sorted(others)
