"""Runs by name, and the states in which each is scored."""

from __future__ import annotations

from pathlib import Path

TRAINED, UNTRAINED = "trained", "untrained"

METRICS_KEYS = {"metrics": dict, "chance": dict, "ci95": dict}
"""What of metrics.json a comparison needs."""

Run = tuple[str, int, Path]
"""A run: its recipe, its seed and its results folder."""


def run_name(recipe: str, seed: int) -> str:
    """Name of a run, `<recipe>.<seed>`, as its folder is called."""
    return f"{recipe}.{seed}"
