"""Which image of a data folder came from where, as `lookalike init` noted it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.data.layout import DataSettings
from lookalike.data.links import resolved_files

ORIGINS = "init.json"
"""The file beside the label files that says so."""

_MARK = "made_by_lookalike_init"
_VERSION = 1
Options = dict[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Origins:
    """What `lookalike init` did.

    Attributes:
        source: absolute path of the folder that keys are relative to.
        files: how an image came here: `link`, `copy` or `hardlink`.
        options: of the command line, by their names there.
        keys: by the name of an image folder and of an image in it, where it came from: a path
            inside `source`, or an absolute one.
    """

    source: str
    files: str
    options: Options
    keys: Mapping[str, Mapping[str, str]]

    def to_text(self) -> str:
        """What the file holds."""
        content = {
            _MARK: _VERSION,
            "source": self.source,
            "files": self.files,
            "options": self.options,
            "images": self.keys,
        }
        # A path may hold bytes that are no UTF-8, which ASCII has an escape for.
        return json.dumps(content, indent=2) + "\n"


def read_origins(root: Path) -> Origins | None:
    """What init noted of a data folder; None where it noted nothing that can be read."""
    try:
        value = json.loads((root / ORIGINS).read_text(encoding="utf-8"))
        if value[_MARK] != _VERSION:
            return None
        keys = {
            str(folder): {str(name): str(key) for name, key in names.items()}
            for folder, names in value["images"].items()
        }
        return Origins(str(value["source"]), str(value["files"]), dict(value["options"]), keys)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def made_by_init(
    data: DataSettings, split: str, leading_out: list[str], located: Mapping[str, str]
) -> set[str]:
    """Which of these images are links that init made, and that lead where it let them lead.

    Args:
        data: the layout.
        split: whose images they are.
        leading_out: images that lie outside of the split's folder.
        located: the real path of each image of the split.
    """
    origins = read_origins(data.root) if leading_out else None
    if origins is None:
        return set()
    keys = origins.keys.get(data.folder_name(split), {})
    names = [name for name in leading_out if name in keys]
    targets = resolved_files(Path(origins.source), [keys[name] for name in names])
    # What is query and gallery image at once is there as one file, and as a link to it.
    root = Path(os.path.realpath(data.root))
    twins = {
        name: {
            os.path.realpath(root / folder / name)
            for folder, inside in origins.keys.items()
            if folder != data.folder_name(split) and inside.get(name) == keys[name]
        }
        for name in names
    }
    return {
        name
        for name, target in zip(names, targets, strict=True)
        if located[name] == target or located[name] in twins[name]
    }
