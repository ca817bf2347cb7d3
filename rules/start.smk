# A run's beginning: damaged results, folders that cannot be written, other runs, what kills left.
import time
from functools import cache
from pathlib import Path

from lookalike import guard, lifeline
from lookalike.errors import LookalikeError
from lookalike.seals import broken
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Where results lie in storage, that keeps its own checksums, and has no locks.
RESULTS_ARE_HERE = workflow.storage_settings.default_storage_provider is None


@cache
def force_damaged():
    """Have results made anew that are not what their step wrote. Called once jobs are looked at."""
    # Where this workflow is imported under a prefix, results lie elsewhere than the settings say.
    results = Path(str(rules.manifest.output.report)).parent
    for path in broken(results, renew=not workflow.dryrun):
        logger.warning(
            f"{path}: is damaged: it is not what was written there. A run that asks for it makes "
            "it anew."
        )
        workflow.dag.forcefiles.add(str(path))


# Looking for damage opens what is there, so a name that cannot be a folder is told before.
if workflow.is_main_process and RESULTS_ARE_HERE:
    try:
        guard.require_folder(Path(config["results"]), "results")
    except LookalikeError as error:
        raise WorkflowError(str(error)) from None


def begin():
    """See that this run can work, and that no other one is at work in the same place."""
    results = Path(config["results"])
    try:
        guard.require_writable(Path(config["cache"]), "cache")
        if RESULTS_ARE_HERE:
            guard.require_writable(results, "results")
            guard.hold(results)
    except LookalikeError as error:
        raise WorkflowError(str(error)) from None
    folders = [results, *(results / name for name in ("manifest", "pixels"))]
    for model in MODELS:
        folders += [results / model, results / model / "embeddings"]
    # On a cluster, jobs of a run that is gone may still be at work.
    age = 0 if workflow.local_exec else 24 * 60 * 60
    guard.remove_half_written(folders, time.time() - age)
    if workflow.local_exec:
        lifeline.begin()
