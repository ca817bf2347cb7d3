from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.embedding.filling import EmbedSettings
    from lookalike.jobs.devices import device_for
    from lookalike.jobs.gpu_slots import gpu_slots
    from lookalike.steps.held_out import HeldOutFiles, write_held_out_answers

    torch.set_num_threads(snakemake.threads)
    with gpu_slots(snakemake.resources.gpu):
        write_held_out_answers(
            Path(snakemake.input.manifest),
            Path(snakemake.params.folder),
            Path(snakemake.input.weights),
            Path(snakemake.input.per_query),
            HeldOutFiles(
                **{name: Path(path) for name, path in snakemake.output.items()},
            ),
            snakemake.params.validation,
            EmbedSettings(
                cache=Path(snakemake.params.cache),
                device=device_for(snakemake.params.device, snakemake.resources.gpu),
                batch_size=snakemake.params.batch_size,
                threads=snakemake.threads,
            ),
            trains=snakemake.params.trains,
        )
