from pathlib import Path

from lookalike.logs import step

log, gpus = snakemake.log[0], snakemake.resources.gpu
with step(log, snakemake.output):
    from lookalike.devices import device_for
    from lookalike.gpu_slots import gpu_slots
    from lookalike.launch import launch
    from lookalike.training_run import TrainingJob, processes_for, train_run

    device = device_for(snakemake.params.device, gpus)
    with gpu_slots(gpus) as slots:
        job = TrainingJob(
            manifest=snakemake.input.manifest,
            folder=snakemake.params.folder,
            trained=str(Path(snakemake.output.weights).parent),
            untrained=str(Path(snakemake.output.untrained_weights).parent),
            history=snakemake.output.history,
            recipe_name=snakemake.params.recipe_name,
            recipe=snakemake.params.recipe,
            image=snakemake.params.image,
            seed=snakemake.params.seed,
            device=device,
            cache=snakemake.params.cache,
            pixel_store_gb=snakemake.params.pixel_store_gb,
            code=snakemake.params.code,
            software=dict(snakemake.params.software),
            threads=snakemake.threads,
            processes=processes_for(device, gpus),
        )
        if job.processes > 1:
            launch(job, log, slots.fds)
        else:
            train_run(job)
