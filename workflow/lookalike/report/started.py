"""How a run was started, as its page may tell it: without what opens doors.

Imports nothing heavy: every job parses the rules again.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from lookalike.text import is_unseen

HIDDEN = "…"
"""What stands for a value that is not shown."""

# Options of Snakemake whose values are shown. Those of plugins are not among them, nor what is
# handed on to other programs: they may hold keys, tokens and passwords. One that is not known here
# may, too.
_SHOWN = frozenset(
    {
        *("--allowed-rules", "--batch", "--cache", "--config", "--configfile", "--configfiles"),
        *("--cores", "--default-resources", "--default-storage-prefix", "--delete-all-output"),
        *("--default-storage-provider", "--directory", "--dry-run", "--dryrun", "--executor"),
        *("--force", "--forceall", "--forcerun", "--ignore-incomplete", "--jobs", "--keep-going"),
        *("--keep-incomplete", "--latency-wait", "--local-cores", "--max-threads", "--nolock"),
        *("--notemp", "--nt", "--omit-from", "--output-wait", "--printshellcmds", "--profile"),
        *("--quiet", "--report", "--rerun-incomplete", "--rerun-triggers", "--resources"),
        *("--restart-times", "--retries", "--ri", "--scheduler", "--sdm", "--set-resources"),
        *("--set-scatter", "--set-threads", "--show-failed-logs", "--snakefile", "--until"),
        *("--software-deployment-method", "--touch", "--trust-io-cache", "--verbose"),
        *("--wait-for-files", "--workflow-profile"),
    }
)
_SECRET = re.compile(
    r"([\w.-]*(?:secret|token|passw|pwd|credential|api_?key|access_?key|private_?key)[\w.-]*)"
    r"([\"']?\s*[=:]).*",
    re.DOTALL | re.IGNORECASE,
)
# Of an address, who asks for it and with which words.
# A password may hold any of / ? # @, so up to the last @.
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"]*@")
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^?\s]*)\?[^\s'\"]*")


@dataclass(frozen=True)
class Started:
    """How and where a run was started; all of it may be printed.

    Attributes:
        command: the command line, empty where it is not known.
        settings: the settings files that were named, in their order.
        folder: the folder it was started in.
        data_root: where the images and label files are, as the settings name it.
        results: the results folder, from that folder.
        cores: how many it was given; None where that is not known.
        executor: what ran the jobs: `local`, or the name of a batch system.
        in_storage: whether the results lie elsewhere, and not in a folder of this machine.
        written: when the page was.
    """

    command: str = ""
    settings: Sequence[str] = ()
    folder: str = ""
    data_root: str = ""
    results: str = "results"
    cores: int | None = None
    executor: str = "local"
    in_storage: bool = False
    written: str = ""

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], page: Path, written: datetime) -> Self:
        """From a mapping of the other attributes, as rules hand it on.

        Args:
            told: the attributes.
            page: the file that is written; it lies in the results, which another workflow that
                imports this one may have put below a folder of its own.
            written: the time, with its zone.
        """
        started = cls(**told, written=f"{written:%Y-%m-%d %H:%M (UTC%z)}")
        return started if started.in_storage else replace(started, results=str(page.parent))

    @property
    def data(self) -> str:
        """What the data are called: the last two names of their folder's path."""
        path = Path(os.path.normpath(Path(self.folder, self.data_root)))
        return "/".join(path.relative_to(path.anchor).parts[-2:]) or str(path)


def command_shown(arguments: Sequence[str]) -> str:
    """A command line of Snakemake, with `HIDDEN` for what nobody else should read.

    Shown are the options that say what is made and how many cores make it, settings
    (`--config`) and targets. Other options keep their names alone; of settings that are called like
    a secret, and of addresses with a user or a query, that part is left out.

    Args:
        arguments: as in sys.argv.

    Returns:
        One line for a shell; empty where this is not Snakemake's command line.
    """
    program = Path(arguments[0]) if arguments else Path()
    if program.name == "__main__.py":
        program = program.parent
    if program.stem != "snakemake":
        return ""
    words, shown = ["snakemake"], True
    for argument in arguments[1:]:
        option, equals, value = argument.partition("=")
        # As argparse reads them: what has a blank in it is the value of an option.
        if re.fullmatch(r"--\S*", option):
            shown = option in _SHOWN or option == "--"
            value = _word(value) if shown else HIDDEN
            words.append(option + equals + value if equals else option)
        elif re.fullmatch(r"-[A-Za-z]\S*", option):
            # Of one letter there are Snakemake's own alone.
            shown = True
            words.append(_word(argument))
        elif shown:
            words.append(_word(argument))
        elif words[-1] != HIDDEN:
            words.append(HIDDEN)
    return " ".join(words)


def without_secrets(text: str) -> str:
    """`text` with `HIDDEN` for what of an address, or of a setting called so, opens doors."""
    for pattern, left in ((_SECRET, r"\1\2"), (_USER, r"\1"), (_QUERY, r"\1?")):
        text = pattern.sub(left + HIDDEN + "@" * (pattern is _USER), text)
    return text


def shell_word(text: str) -> str:
    """`text` as one word of a shell; what cannot be seen is spelt out, as bash and zsh read it."""
    if all(character.isprintable() and not is_unseen(character) for character in text):
        return shlex.quote(text)
    return f"$'{''.join(map(_spelt, text))}'"


def _spelt(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable() and not is_unseen(character):
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _word(text: str) -> str:
    return HIDDEN if text == HIDDEN else shell_word(without_secrets(text))
