# What a job asks for: cores, GPUs, memory and time by the images that it works on.
from dataclasses import replace
from pathlib import Path

from lookalike.jobs.devices import gpu_count
from lookalike.jobs.resources import Work, images_in, memory_mb, minutes, passes_of
from lookalike.models.backbones.costs import needs_of_embedding, needs_of_training
from lookalike.training.recipe import TrainedParts
from lookalike.training.samplers.table import SAMPLERS

# How long a pair of re-ranked images takes, in scores of the search: measured, with a margin.
RERANKED_AS_SCORES = 20

# Of a heavy job: all of this machine's. What another machine has is not known: profiles say it.
CORES = (None if workflow.remote_exec else workflow.resource_settings.cores) or 8


def planned_settings(run):
    """A run's complete recipe, as far as that is known."""
    return or_placeholder(settings_of, run, config["recipes"])


def planned_image(run):
    """The image settings of a run, as far as they are known."""
    return or_placeholder(image_of, run, IMAGES)


def gpus_here():
    """GPUs of this machine where the jobs will run on it, or None where they run on another.

    Known when jobs are looked at, not yet when this is parsed.
    """
    return None if workflow.remote_exec or not workflow.local_exec else gpu_count()


def gpus(count=lambda wildcards: 1):
    """Resource function: how many GPUs a job asks for, `count` of its wildcards; none on a CPU."""

    def asked(wildcards):
        none = config["device"] == "cpu" or gpus_here() == 0
        return 0 if none else count(wildcards)

    return asked


def cores(count=lambda wildcards: 1):
    """Threads function: all cores on a CPU, so that one heavy job runs at a time.

    With several GPUs here, the share of the job's: so as many run side by side as there are GPUs.
    """

    def share(wildcards):
        there = gpus_here()
        if config["device"] == "cpu" or not there:
            return CORES
        return max(1, CORES * min(count(wildcards), there) // there)

    return share


def gpus_of_recipe(wildcards):
    """How many GPUs a run's training asks for."""
    return planned_settings(wildcards.run)["gpus"]


def need(asked, step, work):
    """Resource function: what a job of `step` asks for, by its `work`; see lookalike.jobs.resources.

    asked: memory_mb or minutes.
    """
    return lambda wildcards, input, attempt, threads: asked(
        step, replace(work(wildcards, input), threads=threads), attempt
    )


def work_of_reading(wildcards, input):
    """Work function: a job that reads images, or as many labels."""
    named_in = [input.manifest] if "manifest" in input.keys() else LABEL_FILES.values()
    return Work(images_in(map(local_copy, named_in)))


def work_of_training(wildcards, input):
    """Work function: a training."""
    recipe = planned_settings(wildcards.run)
    images = images_in([local_copy(input.manifest)])
    if TrainedParts.from_setting(recipe["train"]).frozen_backbone:
        # Each view of each image goes through the network once, as in embedding.
        return replace(
            work_of_embedding_images(wildcards.run, images),
            passes=1 + recipe["views"],
            gpus=gpus(gpus_of_recipe)(wildcards),
        )
    batch_size = SAMPLERS[recipe["batch"]["name"]].batch_size(recipe["batch"])
    return Work(
        images,
        passes=passes_of(recipe, images, largest_class(), batch_size),
        image_size=planned_image(wildcards.run)["size"],
        batch=batch_size,
        gpus=gpus(gpus_of_recipe)(wildcards),
        **needs_of_training(recipe["model"]),
    )


def largest_class():
    """How many images the largest training class has; 0 where that is not known yet."""
    path = results_folder() / "data_report.json"
    if not path.exists():
        return 0
    return content_of(path)["splits"]["train"]["images_per_class"]["max"]


def work_of_embedding(wildcards, input):
    """Work function: the embedding of a split, or of a part of it."""
    images = images_in([local_copy(input.manifest)]) // config["embed"]["shards"]
    return work_of_embedding_images(Path(wildcards.model).parts[0], images)


def work_of_held_out(wildcards, input):
    """Work function: training images that a run was not trained on; at most all of them."""
    return work_of_embedding_images(
        wildcards.run, images_in([local_copy(input.manifest)])
    )


def work_of_embedding_images(run, images):
    """What it takes to send so many images through a run's network."""
    return Work(
        images,
        image_size=planned_image(run)["size"],
        batch=32,
        gpus=gpus()(run),
        **needs_of_embedding(planned_settings(run)["model"]),
    )


def work_of_assembling(wildcards, input):
    """Work function: the table of a split, which is embedded for it or already in parts."""
    whole = config["embed"]["shards"] == 1
    return (work_of_embedding if whole else work_of_reading)(wildcards, input)


def work_of_transforming(wildcards, input):
    """Work function: one look at the embeddings of all queries and the gallery."""
    return Work(
        images_in(map(local_copy, (input.query_manifest, input.gallery_manifest)))
    )


def work_of_neighbours(wildcards, input):
    """Work function: the scores of all queries, and of the gallery's own images, with the gallery."""
    queries, gallery = (
        images_in([local_copy(path)])
        for path in (input.query_manifest, input.gallery_manifest)
    )
    return Work(queries + gallery, scores=(queries + gallery) * gallery)


def work_of_reranking(wildcards, input):
    """Work function: scoring, and for each query the distances of its first images to each other."""
    work = work_of_scoring(wildcards, input)
    first = asked_of_search("reranked")["first"]
    queries = images_in([local_copy(input.query_manifest)])
    return replace(
        work,
        scores=work.scores + queries * first**2 * RERANKED_AS_SCORES,
        # What is gathered of the gallery, and in each thread several arrays of float64.
        more_mb=800 + CORES * 40 * first**2 / 1e6,
    )


def work_of_scoring(wildcards, input):
    """Work function: the scores of all queries with the whole gallery."""
    queries, gallery = (
        images_in([local_copy(path)])
        for path in (input.query_manifest, input.gallery_manifest)
    )
    return Work(queries + gallery, scores=queries * gallery)
