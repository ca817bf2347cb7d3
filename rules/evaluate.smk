from lookalike.report.runs import EMBEDDINGS, model_pattern
from lookalike.training.variants import modules_of_network


rule metrics:
    input:
        query=table_of("query"),
        gallery=table_of("gallery"),
        # A touched but equal manifest is looked at again, and nothing here runs.
        query_manifest=scorable_manifest,
        gallery_manifest=manifest_of("gallery"),
        # So too where a sweep chose the same winner again.
        selection=WINNER,
        # The param `attributes` sees whether a column that is used here changed.
        query_attributes=ancient(attributes_of("query", SCORING_COLUMNS)),
        gallery_attributes=ancient(attributes_of("gallery", SCORING_COLUMNS)),
    output:
        metrics="<results>/{model}/metrics.json",
        per_query="<results>/{model}/per_query.parquet",
        rankings="<results>/{model}/rankings.parquet",
    log:
        "<results>/logs/{model}/metrics.log",
    benchmark:
        "<results>/benchmarks/{model}/metrics.tsv"
    # A state that orders anew what another one found has a rule of its own.
    wildcard_constraints:
        model=model_pattern(*EMBEDDINGS),
    # Half of them: two states of a run are scored side by side.
    threads: max(1, CORES // 2)
    resources:
        mem_mb=need(memory_mb, "metrics", work_of_scoring),
        runtime=need(minutes, "metrics", work_of_scoring),
    params:
        metrics=lookup(dpath="metrics", within=config),
        of_training_classes=of_training_classes,
        attributes=attributes_scored,
        query_folder=str(DATA.folder("query")),
        gallery_folder=str(DATA.folder("gallery")),
        code=code_of("metrics"),
        software=software_of("metrics"),
    message:
        "metrics: {wildcards.model}"
    script:
        "../workflow/scripts/metrics.py"


# Asked for by `threshold: {from: held_out}` alone.
rule held_out:
    input:
        manifest=manifest_of("train"),
        weights="<results>/{run}/model.safetensors",
        model="<results>/{run}/model.json",
        # How many relevant and other items the gallery has of each query.
        per_query="<results>/{run}/per_query.parquet",
        selection=WINNER,
    output:
        manifest="<results>/{run}/held_out/manifest.parquet",
        embeddings="<results>/{run}/held_out/embeddings.parquet",
        summary="<results>/{run}/held_out/embeddings.json",
        answers="<results>/{run}/held_out/answers.parquet",
    log:
        "<results>/logs/{run}/held_out.log",
    benchmark:
        "<results>/benchmarks/{run}/held_out.tsv"
    threads: cores()
    resources:
        gpu=gpus(),
        mem_mb=need(memory_mb, "embed", work_of_held_out),
        runtime=need(minutes, "embed", work_of_held_out),
    params:
        folder=untracked(str(DATA.folder("train"))),
        validation=validation_of_run,
        trains=lambda wildcards: trains(recipe_of(wildcards.run)),
        batch_size=untracked(config["embed"]["batch_size"]),
        device=untracked(config["device"]),
        cache=untracked(config["cache"]),
        code=lambda wildcards: code_of_embedding("held_out", wildcards.run),
        software=lambda wildcards: software_of(
            "held_out", modules_of_network(network_of_model(wildcards.run))
        ),
    message:
        "held_out: training images that {wildcards.run} was not trained on"
    script:
        "../workflow/scripts/held_out.py"


# Beside the metrics, not among them: another promise ranks nothing anew.
rule threshold:
    input:
        unpack(held_out_answers),
        per_query="<results>/{run}/per_query.parquet",
        metrics="<results>/{run}/metrics.json",
        # Read by nothing here: Snakemake looks again at the jobs that ask for a checkpoint's files
        # alone, once these turn out to be what they were.
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
    output:
        "<results>/{run}/threshold.json",
    log:
        "<results>/logs/{run}/threshold.log",
    benchmark:
        "<results>/benchmarks/{run}/threshold.tsv"
    localrule: True
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        threshold=lookup(dpath="threshold", within=config),
        code=code_of("threshold"),
        software=software_of("threshold"),
    message:
        "threshold: {wildcards.run}"
    script:
        "../workflow/scripts/threshold.py"


rule compare:
    input:
        # Of the folder of each run, then of those of its other states.
        metrics=expand("<results>/{run}/metrics.json", run=RUNS),
        of_states=expand("<results>/{model}/metrics.json", model=OTHER_FOLDERS),
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selections=WINNERS,
    output:
        csv=report(
            "<results>/comparison.csv",
            caption="../workflow/report/comparison.rst",
            category="Comparison",
            labels=labels_of("comparison"),
        ),
        parquet="<results>/comparison.parquet",
    log:
        "<results>/logs/compare.log",
    benchmark:
        "<results>/benchmarks/compare.tsv"
    localrule: True
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs=RUNS_IN_STATES,
        code=code_of("compare"),
    message:
        "compare: the runs side by side"
    script:
        "../workflow/scripts/compare.py"
