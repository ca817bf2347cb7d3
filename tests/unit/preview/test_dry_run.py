"""What a dry run says is read back; that it is what Snakemake says is held in tests/workflow."""

from pathlib import Path

import pytest

from lookalike.preview.dry_run import DryRun, dry_run, job_counts

SAID = """\
Building DAG of jobs...
Job stats:
job          count
---------  -------
all              1
metrics          2
total            3

[Sat Jan  1 10:00:00 2000]
Job 2: metrics: default.0
Job stats:
job        count
-------  -------
other          9
total          9

"""


def test_the_first_table_of_jobs_is_read() -> None:
    assert job_counts(SAID) == {"all": 1, "metrics": 2, "total": 3}
    assert job_counts("Nothing to be done (all requested files are present).") == {}


def test_jobs_are_told_in_a_line() -> None:
    assert DryRun(job_counts(SAID), [], []).in_words == "all 1, metrics 2; 3 jobs in all"
    assert DryRun({}, [], []).in_words.startswith("nothing")


def test_why_a_workflow_cannot_be_planned_is_passed_on_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("rule a:\n    input: 'is-not-there'\n    output: 'b'\n    shell: 'true'\n")
    found = dry_run(snakefile, [], 1)
    assert "is-not-there" in found.fault
    assert found.counts == {}
    assert [path.name for path in tmp_path.iterdir()] == ["Snakefile"]
