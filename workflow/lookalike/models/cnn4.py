"""The seed document's network: four convolutions and one fully connected layer."""

from __future__ import annotations

from contextlib import nullcontext

from torch import Tensor, nn

from lookalike.jobs.torch_devices import one_thread

CHANNELS = (32, 64, 128, 256)


class ImageSimilarityModel(nn.Module):
    """The seed document's network: four convolutions and one fully connected layer.

    Each convolution is 3x3 with padding 1, then (optionally) batch normalisation, ReLU and 2x2 max
    pooling; 32, 64, 128 and 256 channels.

    Args:
        image_size: pixels on each side of the square input; at least 16.
        embedding_dim: length of an embedding.
        batch_norm: normalise after each convolution.
        normalize: scale embeddings to length 1.
    """

    def __init__(
        self, image_size: int, embedding_dim: int, *, batch_norm: bool, normalize: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in = 3
        for channels in CHANNELS:
            layers.append(nn.Conv2d(channels_in, channels, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            # Pooling before ReLU gives the same values and gradients for a quarter of the ReLUs.
            layers += [nn.MaxPool2d(2), nn.ReLU(inplace=True)]
            channels_in = channels
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels_in * (image_size // 2 ** len(CHANNELS)) ** 2, embedding_dim)
        self.normalize = normalize

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch.

        Args:
            images: float32 [batch, 3, image_size, image_size], normalised.

        Returns:
            float32 [batch, embedding_dim].
        """
        features = self.features(images).flatten(1)
        # On several threads a CPU's matrix product may add up in another order.
        with nullcontext() if self.training else one_thread():
            embeddings: Tensor = self.fc(features)
        # float32 whatever the precision of the layers: distances are differences of near equals.
        embeddings = embeddings.float()
        return nn.functional.normalize(embeddings, dim=1) if self.normalize else embeddings


def build(
    image_size: int, *, embedding_dim: int, batch_norm: bool, normalize: bool
) -> ImageSimilarityModel:
    """See `lookalike.models.table`."""
    return ImageSimilarityModel(
        image_size, embedding_dim, batch_norm=batch_norm, normalize=normalize
    )
