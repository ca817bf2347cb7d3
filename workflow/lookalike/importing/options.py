"""What `lookalike init` is told, and what it was told before."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from lookalike.data.origins import ORIGINS, Origins
from lookalike.errors import LookalikeError


@dataclass(frozen=True)
class InitOptions:
    """What `lookalike init` is told; None stands for the default, or for what it was before.

    Attributes:
        kind: of a folder, see `lookalike.importing.folders.FOLDER_KINDS`.
        images: the folder that a table's paths are relative to.
        path, label, split, query, gallery, group: names of a table's columns.
        closed, test_share, queries_per_class, seed: see `SplitSettings`.
        near_duplicates: bits of a perceptual hash; "none" lets look-alikes be parted.
        files: `link`, `copy` or `hardlink`.
    """

    kind: str | None = None
    images: str | None = None
    path: str | None = None
    label: str | None = None
    split: str | None = None
    query: str | None = None
    gallery: str | None = None
    group: str | None = None
    closed: bool | None = None
    test_share: float | None = None
    queries_per_class: float | None = None
    seed: int | None = None
    near_duplicates: int | str | None = None
    files: str | None = None


DEFAULTS = InitOptions(
    closed=False, test_share=0.3, queries_per_class=0.25, seed=0, near_duplicates=4, files="link"
)
# By what these are said on the command line, where it is not their name.
_OPTIONS = {"kind": "--as", "files": "--copy, --hardlink"}
# A folder that moved is named anew; everything else decides what is where.
_MAY_CHANGE = {"images"}


def merged_options(options: InitOptions, before: Origins | None) -> InitOptions:
    """The options with what was not given: as before, or the defaults."""
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(InitOptions)):
        given = getattr(options, name)
        known = getattr(DEFAULTS, name) if before is None else _known(before, name)
        fixed = before is not None and name not in _MAY_CHANGE
        if fixed and given is not None and given != known:
            option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
            raise LookalikeError(
                f"{option}: this folder was made with {known!r}, and images stay in the split that "
                "they are in: leave the option out with --update, or make a new folder"
            )
        values[name] = known if given is None else given
    return InitOptions(**values)


def _known(before: Origins, name: str) -> Any:
    value, default = before.options.get(name), getattr(DEFAULTS, name)
    if name == "files":
        value = before.files
    kinds = {float: (int, float), int: (int,)}.get(type(default), (type(default),))
    if name == "near_duplicates":
        kinds = (int, str)
    if default is not None and type(value) not in kinds:
        raise LookalikeError(
            f"{ORIGINS}: {name} is {value!r}, which lookalike init did not write; make a new folder"
        )
    return value
