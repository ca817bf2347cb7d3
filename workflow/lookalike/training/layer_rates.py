"""Which layers of a network are trained, how fast, and from when on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lookalike.models.backbones.layers import layers_of
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.training.recipe import OptimizerSettings, TrainedParts


@dataclass(frozen=True)
class LayerRate:
    """Parameters that are trained alike.

    Attributes:
        parameters: of a network.
        share: of the optimizer's highest learning rate that is theirs.
        thaws_at: epochs before which they stay as they are.
    """

    parameters: list[nn.Parameter]
    share: float = 1.0
    thaws_at: float = 0.0


def freeze(network: nn.Module, parts: TrainedParts) -> list[nn.Module]:
    """Leave the layers of a backbone as they are that a recipe does not train, in place.

    Returns:
        Modules whose own parameters are all left so, which must be in evaluation mode all the time:
        a batch normalisation would follow the batches otherwise.
    """
    if parts.layers is None or not isinstance(network, EmbeddingNetwork):
        return []
    layers = layers_of(network.backbone)
    frozen = {name for layer in layers[: max(0, len(layers) - parts.layers)] for name in layer}
    for name, parameter in network.backbone.named_parameters():
        parameter.requires_grad_(name not in frozen)
    own = {module: [*module.parameters(recurse=False)] for module in network.backbone.modules()}
    return [
        module
        for module, parameters in own.items()
        if parameters and not any(parameter.requires_grad for parameter in parameters)
    ]


def layer_rates(network: nn.Module, settings: OptimizerSettings) -> list[LayerRate]:
    """The parameters of a network that are trained, by how fast they are.

    What stands on a backbone has the whole learning rate. The backbone's last layer has the share
    `backbone_lr` of it, and each one before it the share `layer_decay` of the next one's (Howard
    and Ruder 2018, Clark et al. 2020). The layers thaw one after the other, the last one first, the
    first one after `thaw_epochs`.
    """
    plain = (settings.backbone_lr, settings.layer_decay, settings.thaw_epochs) == (1.0, 1.0, 0.0)
    if plain or not isinstance(network, EmbeddingNetwork):
        return [LayerRate([one for one in network.parameters() if one.requires_grad])]
    of_name = dict(network.backbone.named_parameters())
    layers = [[of_name[name] for name in layer] for layer in layers_of(network.backbone)]
    layers = [[one for one in layer if one.requires_grad] for layer in layers]
    layers = [layer for layer in layers if layer]
    rates = [LayerRate([*network.head.parameters()])]
    for number, layer in enumerate(reversed(layers)):
        share = settings.backbone_lr * settings.layer_decay**number
        rates.append(LayerRate(layer, share, settings.thaw_epochs * (number + 1) / len(layers)))
    return [rate for rate in rates if rate.parameters]
