"""Hooks of the site's builder: pages stand where they lie in the project, wherever that is."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

# What pages lead to that does not lie in docs/.
ELSEWHERE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "config.yaml",
    "config/README.md",
    "benchmarks/suite/README.md",
)

PICTURES = (".png",)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put docs/ below a folder of its name, and what lies elsewhere beside it."""
    folder = Path(config.docs_dir)
    found = [file for file in files if file.src_dir == config.docs_dir and file.abs_src_path]
    for file in found:
        files.remove(file)
        if file.is_documentation_page() or file.src_uri.endswith(PICTURES):  # not this file
            files.append(_placed(f"{folder.name}/{file.src_uri}", folder / file.src_uri, config))
    for name in ELSEWHERE:
        files.append(_placed(name, folder.parent / name, config))
    return files


def _placed(name: str, path: Path, config: MkDocsConfig) -> File:
    return File.generated(config, name, abs_src_path=str(path))
