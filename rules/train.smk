from lookalike.training.recipe import summary_of


rule train:
    input:
        manifest=trainable_manifest,
        pixels=pixels_to_train_on,
        # Whose settings it has is a param: others that were chosen from train nothing anew.
        selection=WINNER,
    output:
        weights="<results>/{run}/model.safetensors",
        model="<results>/{run}/model.json",
        history="<results>/{run}/history.parquet",
        untrained_weights="<results>/{run}/untrained/model.safetensors",
        untrained_model="<results>/{run}/untrained/model.json",
    log:
        "<results>/logs/{run}/train.log",
    # For `--cache train`. Snakemake allows no benchmark beside it; history.parquet has the times.
    cache: True
    threads: cores(gpus_of_recipe)
    resources:
        gpu=gpus(gpus_of_recipe),
        nodes=1,
        mem_mb=need(memory_mb, "train", work_of_training),
        runtime=need(minutes, "train", work_of_training),
    params:
        folder=untracked(str(DATA.folder("train"))),
        # All that decides the weights must be a param: `--cache` does not look at wildcards.
        recipe_name=lambda wildcards: recipe_of(wildcards.run),
        seed=lambda wildcards: seed_of(wildcards.run),
        images=training_images,
        decisive=decisive_of_run,
        closed_set=untracked_of(closed_set),
        recipe=untracked_of(lambda wildcards: settings_of(wildcards.run)),
        summary=untracked_of(lambda wildcards: summary_of(settings_of(wildcards.run))),
        image=lambda wildcards: image_of(wildcards.run),
        device=untracked(config["device"]),
        cache=untracked(config["cache"]),
        pixel_store_gb=untracked(PIXEL_STORE_GB),
        code=lambda wildcards: code_of_run(wildcards.run),
        software=lambda wildcards: software_of("train", variants_of_run(wildcards.run)),
    message:
        "train: {wildcards.run} ({params.summary})"
    script:
        "../workflow/scripts/train.py"
