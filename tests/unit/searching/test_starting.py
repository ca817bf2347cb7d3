"""Garbage is looked for again once all is there, whatever happened."""

import gc
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "nowhere", "a.jpg"],
        ["embed", "nowhere", "a", "--out", "o"],
        ["export", "nowhere"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_wrong_results_are_told_before_torch_is_loaded(
    tmp_path: Path, arguments: list[str]
) -> None:
    program = (
        "import sys\n"
        "from lookalike.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stopped:\n"
        "    print(stopped.code, *sys.modules.keys() & {'torch', 'pandas', 'pyarrow'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "1\n", done.stdout + done.stderr
    assert "nowhere: there is no such folder; name the folder of a workflow" in done.stderr
