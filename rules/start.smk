# A run's beginning and end: damaged results, folders that cannot be written, other runs, what is left.
import time
from pathlib import Path

from lookalike import guard, lifeline
from lookalike.errors import LookalikeError
from lookalike.seals import broken, unseal
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Where results lie in storage, that keeps its own checksums, and has no locks.
RESULTS_ARE_HERE = workflow.storage_settings.default_storage_provider is None


def remove_damaged():
    """Remove results that are not what their step wrote, so that the run makes them anew."""
    for path in broken(Path(config["results"])):
        what = f"{path}: is damaged: it is not what was written there."
        if workflow.output_settings.dryrun:
            logger.warning(f"{what} A run that asks for it makes it anew.")
        else:
            logger.warning(
                f"{what} It is removed; a run that asks for it makes it anew."
            )
            path.unlink()
            unseal([path])


# Before jobs are looked at: what is not there is made.
if workflow.is_main_process and RESULTS_ARE_HERE:
    try:
        guard.require_folder(Path(config["results"]), "results")
    except LookalikeError as error:
        raise WorkflowError(str(error)) from None
    remove_damaged()


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
    day = 24 * 60 * 60
    guard.remove_half_written(
        results, time.time() - (0 if workflow.local_exec else day)
    )
    if workflow.local_exec:
        lifeline.begin()


def end():
    """Forget what was kept only in case this run had not ended well."""
    guard.remove_done_trainings(Path(config["cache"]))
