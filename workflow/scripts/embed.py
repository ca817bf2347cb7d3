from pathlib import Path

from lookalike.logs import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.devices import device_for
    from lookalike.embedding_split import EmbedSettings, embed_split
    from lookalike.gpu_slots import gpu_slots

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
