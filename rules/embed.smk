from lookalike.report.runs import MODEL, model_pattern
from lookalike.training.given import given_files
from lookalike.training.variants import modules_of_network


scattergather:
    embed=config["embed"]["shards"],


# Puts one part of a split into the embedding store; used where embed.shards is more than 1.
rule embed_shard:
    input:
        # The param `contents` sees whether anything changed for this part.
        manifest=ancient(manifest_of_split),
        weights="<results>/{model}/model.safetensors",
        model="<results>/{model}/model.json",
        selection=WINNER,
    output:
        summary="<results>/{model}/embeddings/{split}.{scatteritem}.json",
    log:
        "<results>/logs/{model}/embed_{split}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/{model}/embed_{split}.{scatteritem}.tsv"
    wildcard_constraints:
        model=model_pattern(*MODEL),
    threads: cores()
    resources:
        gpu=gpus(),
        mem_mb=need(memory_mb, "embed", work_of_embedding),
        runtime=need(minutes, "embed", work_of_embedding),
    params:
        contents=contents_of_shard,
        folder=lambda wildcards, input: str(DATA.folder(wildcards.split)),
        batch_size=untracked(config["embed"]["batch_size"]),
        device=untracked(config["device"]),
        cache=untracked(config["cache"]),
        code=lambda wildcards: code_of_embedding("embed_shard", wildcards.model),
        software=lambda wildcards: software_of(
            "embed_shard", modules_of_network(network_of_model(wildcards.model))
        ),
    message:
        "embed: {wildcards.split} images by {wildcards.model}, part {wildcards.scatteritem}"
    script:
        "../workflow/scripts/embed_shard.py"


rule embed:
    input:
        manifest=manifest_of_split,
        weights="<results>/{model}/model.safetensors",
        model="<results>/{model}/model.json",
        selection=WINNER,
        shards=shards_of,
    output:
        embeddings="<results>/{model}/embeddings/{split}.parquet",
        summary="<results>/{model}/embeddings/{split}.json",
    log:
        "<results>/logs/{model}/embed_{split}.log",
    benchmark:
        "<results>/benchmarks/{model}/embed_{split}.tsv"
    wildcard_constraints:
        # Those of embeddings from elsewhere are brought.
        model=rf"(?!({pattern_of(GIVEN_RUNS)})/embeddings/(query|gallery)\.){model_pattern(*MODEL)}",
    threads: cores()
    resources:
        # Divided, the parts have done the work.
        gpu=gpus() if config["embed"]["shards"] == 1 else 0,
        mem_mb=need(memory_mb, "embed", work_of_assembling),
        runtime=need(minutes, "embed", work_of_assembling),
    params:
        folder=lambda wildcards, input: str(DATA.folder(wildcards.split)),
        batch_size=untracked(config["embed"]["batch_size"]),
        device=untracked(config["device"]),
        cache=untracked(config["cache"]),
        code=lambda wildcards: code_of_embedding("embed", wildcards.model),
        software=lambda wildcards: software_of(
            "embed", modules_of_network(network_of_model(wildcards.model))
        ),
    message:
        "embed: {wildcards.split} images by {wildcards.model}"
    script:
        "../workflow/scripts/embed.py"


# Embeddings from elsewhere, as `embed` would have written them.
rule bring:
    input:
        unpack(given_inputs),
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
    output:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_summary="<results>/{run}/embeddings/query.json",
        gallery_summary="<results>/{run}/embeddings/gallery.json",
    log:
        "<results>/logs/{run}/bring.log",
    benchmark:
        "<results>/benchmarks/{run}/bring.tsv"
    wildcard_constraints:
        run=pattern_of(GIVEN_RUNS),
    localrule: True
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        recipe=untracked_of(lambda wildcards: recipe_of(wildcards.run)),
        files=untracked_of(
            lambda wildcards: {
                split: str(path)
                for split, path in given_files(GIVEN[recipe_of(wildcards.run)]).items()
            }
        ),
        ahead=given_ahead_of_clock,
        score=lambda wildcards: GIVEN[recipe_of(wildcards.run)].get("score"),
        labelled=DATA.labelled,
        code=code_of("bring"),
        software=software_of("bring"),
    message:
        "bring: embeddings from elsewhere, as {wildcards.run}"
    script:
        "../workflow/scripts/bring.py"
