from pathlib import Path

from lookalike.data.layout import fingerprint
from snakemake.logging import logger


checkpoint manifest:
    input:
        unpack(label_files),
    output:
        **ATTRIBUTE_TABLES,
        train="<results>/manifest/train.parquet",
        query="<results>/manifest/query.parquet",
        gallery="<results>/manifest/gallery.parquet",
        # Where the images lie, for whoever shows them later: no rule reads it.
        places="<results>/manifest/places.json",
        report="<results>/data_report.json",
    log:
        "<results>/logs/manifest.log",
    benchmark:
        "<results>/benchmarks/manifest.tsv"
    threads: CORES
    resources:
        mem_mb=need(memory_mb, "manifest", work_of_reading),
        runtime=need(minutes, "manifest", work_of_reading),
    params:
        data=lookup(dpath="data", within=config),
        # Computed when the job is looked at: the demo's images are made after parsing.
        folders=lambda wildcards: fingerprint(
            DATA, logger.info, apart=[results_folder(), Path(config["cache"])]
        ),
        cache=untracked(config["cache"]),
        # Whether the images suffice for training does not change what is known of them.
        trains=untracked(any(trains(recipe) for recipe in config["runs"])),
        learnt=untracked(LEARNT),
        code=code_of("manifest"),
        software=software_of("manifest"),
    message:
        "manifest: scanning and checking the images under {params.data[root]}"
    script:
        "../workflow/scripts/manifest.py"


rule pixels:
    input:
        manifest=manifest_of("train"),
    output:
        index="<results>/pixels/{image_digest}.parquet",
    log:
        "<results>/logs/pixels/{image_digest}.log",
    benchmark:
        "<results>/benchmarks/pixels/{image_digest}.tsv"
    threads: CORES
    resources:
        mem_mb=need(memory_mb, "pixels", work_of_reading),
        runtime=need(minutes, "pixels", work_of_reading),
    params:
        folder=untracked(str(DATA.folder("train"))),
        image=lambda wildcards: images_of(wildcards.image_digest),
        cache=untracked(config["cache"]),
        pixel_store_gb=untracked(PIXEL_STORE_GB),
        code=code_of("pixels"),
        software=software_of("pixels"),
    message:
        "pixels: the training images at {params.image[size]} x {params.image[size]}"
    script:
        "../workflow/scripts/pixels.py"
