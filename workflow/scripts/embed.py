from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.embedding.filling import EmbedSettings
    from lookalike.jobs.devices import device_for
    from lookalike.jobs.gpu_slots import gpu_slots
    from lookalike.steps.embed import embed_split

    torch.set_num_threads(snakemake.threads)
    with gpu_slots(snakemake.resources.gpu):
        embed_split(
            Path(snakemake.input.manifest),
            Path(snakemake.params.folder),
            Path(snakemake.input.weights),
            Path(snakemake.output.embeddings),
            Path(snakemake.output.summary),
            [Path(shard) for shard in snakemake.input.shards],
            EmbedSettings(
                cache=Path(snakemake.params.cache),
                device=device_for(snakemake.params.device, snakemake.resources.gpu),
                batch_size=snakemake.params.batch_size,
                threads=snakemake.threads,
            ),
        )
