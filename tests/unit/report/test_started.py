"""A command line as a page tells it: what it made, and nothing that opens doors."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import get_argument_parser

from lookalike.report.started import (
    _SHOWN,
    HIDDEN,
    Started,
    command_shown,
    shell_word,
    without_secrets,
)

SECRET = "hunter2"
OPTIONS: list[Any] = get_argument_parser()._actions
LONG = {name for option in OPTIONS for name in option.option_strings if name.startswith("--")}

words = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12
).filter(lambda word: not word.startswith("-") and "://" not in word and word.strip() == word)
harmless = words.filter(lambda word: not any(sign in word for sign in "=:"))


@given(st.lists(st.tuples(st.sampled_from(sorted(_SHOWN)), st.lists(harmless, max_size=3))))
def test_a_harmless_command_line_can_be_given_again(options: list[tuple[str, list[str]]]) -> None:
    arguments = [word for option, values in options for word in (option, *values)]
    line = command_shown(["/somewhere/bin/snakemake", *arguments])
    if all(word.isprintable() and shell_word(word) == shlex.quote(word) for word in arguments):
        assert shlex.split(line) == ["snakemake", *arguments]


def test_the_options_that_are_shown_are_snakemakes() -> None:
    assert LONG >= _SHOWN
    # As settings are, and what is made.
    assert {"--config", "--configfile", "--cores", "--forcerun"} <= _SHOWN


@pytest.mark.parametrize("option", sorted(LONG - _SHOWN))
def test_no_other_option_has_its_value_shown(option: str) -> None:
    for given_so in ([option, SECRET, f"-x {SECRET}"], [f"{option}={SECRET}"]):
        line = command_shown(["snakemake", *given_so, "--cores", "2"])
        assert line.startswith(f"snakemake {option}")
        assert HIDDEN in line
        assert SECRET not in line
        assert line.endswith("--cores 2")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--storage-s3-secret-k", SECRET],  # an abbreviation
        ["--storage-s3-secret-key", "a", SECRET, "-c2"],
        ["--storage-s3-token", f"a:{SECRET}"],
        ["--unknown-plugin-option", SECRET],
        ["--cluster-generic-submit-cmd", f"qsub -v TOKEN={SECRET}"],
        ["--apptainer-args", f"--env TOKEN={SECRET}"],
        ["--apptainer-args", f"-e TOKEN={SECRET}"],
        ["--config", f"data.hf_token={SECRET}", "x=1"],
        ["--config", f"API_KEY={SECRET}"],
        ["--config", f"a={{db_password: {SECRET}}}"],
        ["-C", f"secret={SECRET}"],
        [f"-Csecret={SECRET}"],
        [f"--config=password={SECRET}"],
        ["--default-storage-prefix", f"s3://key:{SECRET}@host/bucket"],
        ["--configfile", f"https://host/mine.yaml?signature={SECRET}"],
        [f"https://me:{SECRET}@host/results/report.html"],
        ["--default-storage-prefix", f"s3://key:a/{SECRET}@host/bucket"],
        ["--default-storage-prefix", f"https://me:a@{SECRET}@host/x"],
        ["--config", f'x={{"api_token": "{SECRET}"}}'],
    ],
)
def test_keys_tokens_and_passwords_are_left_out(arguments: list[str]) -> None:
    line = command_shown(["snakemake", *arguments])
    assert SECRET not in line
    assert HIDDEN in line


def test_what_was_made_of_what_is_shown() -> None:
    line = command_shown(
        [
            *("/x/snakemake/__main__.py", "results/a b.parquet", "-c4", "-np", "--configfile"),
            *("mine.yaml", "--config", "results=my results", "data.root=s3://bucket/a"),
            *("--storage-s3-secret-key", SECRET, "--cache"),
        ]
    )
    assert line == (
        "snakemake 'results/a b.parquet' -c4 -np --configfile mine.yaml --config "
        "'results=my results' data.root=s3://bucket/a --storage-s3-secret-key … --cache"
    )


@pytest.mark.parametrize(
    "arguments", [[], [""], ["/usr/bin/pytest", "-x"], ["-c"], ["a/__main__.py"]]
)
def test_another_programs_command_line_is_not_taken_for_snakemakes(arguments: list[str]) -> None:
    assert command_shown(arguments) == ""


def test_what_cannot_be_seen_is_spelt_out() -> None:
    assert command_shown(["snakemake", "a\u202eb", "c\nd"]) == r"snakemake $'a\u202eb' $'c\x0ad'"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_shell_reads_a_word_as_what_it_was() -> None:
    texts = [
        *(
            "a b",
            "",
            "a, b;'c\"",
            'a"$(touch pwned)`touch pwned`',
            "-x",
            "größe",
            "~",
            "!!",
            "a\\b",
        ),
        *("a\u202eb", "c\n$(d)'\\e", "\x1b[31m1", "\u200b2", "\U000e0041f", "\xa0", "a\u3164"),
    ]
    words = [shell_word(text) for text in texts]
    assert all(word.isprintable() for word in words)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {' '.join(words)}"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.decode().split("\0")[:-1] == texts


@pytest.mark.parametrize("text", ["s3://bucket/a", "data", "/home/me@x/a?b", "a=b", "C:/token/x"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


def test_a_time_is_told_with_its_zone() -> None:
    there = timezone(timedelta(hours=-3, minutes=-30))
    now = datetime(2026, 1, 2, 3, 4, 59, tzinfo=there)
    started = Started.from_dict({"cores": 3}, Path("results/report.html"), now)
    assert started == Started(cores=3, written="2026-01-02 03:04 (UTC-0330)")


@pytest.mark.parametrize(("in_storage", "results"), [(False, "one/results"), (True, "results")])
def test_results_are_where_the_page_is_unless_they_are_in_storage(
    in_storage: bool, results: str
) -> None:
    told = {"results": "results", "in_storage": in_storage}
    started = Started.from_dict(told, Path("one/results/report.html"), datetime.now(UTC))
    assert started.results == results


@pytest.mark.parametrize(
    ("folder", "root", "called"),
    [
        ("/home/me/shoes", "data", "shoes/data"),
        ("/home/me/shoes", "../bags/data/", "bags/data"),
        ("/home/me/shoes", "/data/photos/bags", "photos/bags"),
        ("/home/me/shoes", "/data", "data"),
        ("/", ".", "/"),
    ],
)
def test_data_are_called_by_the_end_of_their_path(folder: str, root: str, called: str) -> None:
    assert Started(folder=folder, data_root=root).data == called
