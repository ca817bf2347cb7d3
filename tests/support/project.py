"""Where the project is, and copies of it."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_project(to: Path) -> Path:
    """Copy the project's files; a checkout need not know of git. Returns `to`."""
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info", "results*.json")
    for name in ("benchmarks", "config", "docs", "profiles", "rules", "tests", "workflow"):
        shutil.copytree(ROOT / name, to / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, to / path.name)
    return to
