scattergather:
    embed=config["embed"]["shards"],


# Puts one part of a split into the embedding store; used where embed.shards is more than 1.
rule embed_shard:
    input:
        # The param `contents` sees whether anything changed for this part.
        manifest=ancient(manifest_of_split),
        weights="<results>/{model}/model.safetensors",
        model="<results>/{model}/model.json",
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
        shards=shards_of,
    output:
        embeddings="<results>/{model}/embeddings/{split}.parquet",
        summary="<results>/{model}/embeddings/{split}.json",
    log:
        "<results>/logs/{model}/embed_{split}.log",
    benchmark:
        "<results>/benchmarks/{model}/embed_{split}.tsv"
    wildcard_constraints:
        model=model_pattern(*MODEL),
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
