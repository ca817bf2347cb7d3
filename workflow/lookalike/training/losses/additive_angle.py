"""The margin that ArcFace adds to an angle, for pytorch-metric-learning's losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lookalike.training.losses.distances import root


class AdditiveAngle:
    """The cosine of an angle with a margin added, without the angle.

    The library takes the arc cosine of what is clamped to 1, where its slope is infinite: it hangs
    on torch's version whether an image on its class's centre gets a gradient of 0 or of NaN, which
    is in every weight one step later. By cos(a + m) = cos(a) cos(m) - sin(a) sin(m) the value is
    the same, and the gradient a number in each.
    """

    margin: float  # in radians

    def modify_cosine_of_target_classes(self, cosine_of_target_classes: Tensor) -> Tensor:
        """From the cosine of each image and its class's centre [n] to that of the wider angle.

        From where the wider angle would be beyond 180 degrees, the cosine falls on in a straight
        line, as in the library and in the authors' code.
        """
        cosine = cosine_of_target_classes
        sine = root(1 - cosine.square())
        wider = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine >= -math.cos(self.margin), wider, beyond)
