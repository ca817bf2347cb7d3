# Embeddings from elsewhere: what is looked at before anything is trained.
from functools import cache

from lookalike.report.runs import run_name
from lookalike.storage.digests import digest_of_file
from lookalike.training.given import given_files, require_files, runs_of


@cache
def require_given():
    """See that embeddings from elsewhere fit the manifest, before anything else is done with it."""
    if not (workflow.is_main_process and GIVEN_IN_RUNS):
        return
    # Not above: it reads tables, which takes libraries that are long to load.
    from lookalike.embedding.given_tables import given_tables, is_of_images

    made = checkpoints.manifest.get().output
    manifests = {split: local_copy(made[split]) for split in ("query", "gallery")}
    for recipe, settings in GIVEN_IN_RUNS.items():
        files = given_files(settings)
        run = run_name(*runs_of(recipe, config)[0])
        brought = {
            split: results_folder() / run / f"embeddings/{split}.parquet"
            for split in files
        }
        # What was brought since the files were written was looked at then.
        if is_newer(brought.values(), files.values()) and all(
            is_of_images(path, manifests[split]) for split, path in brought.items()
        ):
            continue
        with errors_without_traceback():
            require_files(recipe, settings)
            given_tables(
                recipe,
                files,
                manifests,
                settings.get("score"),
                labelled=DATA.labelled,
            )


def is_newer(made, sources):
    """Whether files here are all there, and newer than all that they are made of."""
    if not RESULTS_ARE_HERE or not all(path.exists() for path in (*made, *sources)):
        return False
    oldest = min(path.stat().st_mtime for path in made)
    return oldest > max(path.stat().st_mtime for path in sources)


def given_inputs(wildcards):
    """Input function: the tables of a run whose embeddings come from elsewhere.

    As with the label files, one dated ahead of this clock is left out.
    """
    tables = given_files(GIVEN[recipe_of(wildcards.run)])
    with errors_without_traceback():
        require_files(recipe_of(wildcards.run), GIVEN[recipe_of(wildcards.run)])
    return {
        split: local(str(path))
        for split, path in tables.items()
        if not is_ahead_of_clock(path)
    }


def given_ahead_of_clock(wildcards):
    """Param function: a digest of each of them that is no input for that reason."""
    tables = given_files(GIVEN[recipe_of(wildcards.run)])
    return {
        split: digest_of_file(path)
        for split, path in tables.items()
        if is_ahead_of_clock(path)
    }
