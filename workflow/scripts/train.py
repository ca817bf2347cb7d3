from pathlib import Path

from lookalike.jobs.step import step

log, gpus = snakemake.log[0], snakemake.resources.gpu
with step(log, snakemake.output):
    from lookalike.jobs.devices import device_for
    from lookalike.jobs.gpu_slots import gpu_slots
    from lookalike.steps.train import processes_for, train_run
    from lookalike.training.job import TrainingJob
    from lookalike.training.launch import launch

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
            closed_set=snakemake.params.closed_set,
            processes=processes_for(device, gpus),
        )
        if job.processes > 1:
            launch(job, log, slots.fds)
        else:
            train_run(job)
