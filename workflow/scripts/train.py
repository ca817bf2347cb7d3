from pathlib import Path

from lookalike.devices import device_for
from lookalike.logs import step
from lookalike.training_run import ModelFiles, train_run

made = {name: Path(path) for name, path in snakemake.output.items()}

with step(snakemake.log[0]):
    train_run(
        Path(snakemake.input.manifest),
        Path(snakemake.params.folder),
        ModelFiles(made["weights"], made["model"]),
        ModelFiles(made["untrained_weights"], made["untrained_model"]),
        made["history"],
        recipe_name=snakemake.params.recipe_name,
        recipe=snakemake.params.recipe,
        image=snakemake.params.image,
        seed=snakemake.params.seed,
        device=device_for(snakemake.params.device, snakemake.resources.gpu),
        cache=Path(snakemake.params.cache),
        pixel_store_gb=snakemake.params.pixel_store_gb,
        code=snakemake.params.code,
        software=snakemake.params.software,
        threads=snakemake.threads,
    )
