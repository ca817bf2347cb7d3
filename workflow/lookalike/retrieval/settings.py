"""How a ranking is turned into numbers: the settings of the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lookalike.data.protocol import exclusion
from lookalike.errors import LookalikeError
from lookalike.retrieval.units import AUTO, UNITS

_FEWEST_RESAMPLES, _MOST_RESAMPLES = 1000, 1_000_000
# What every reader of JSON, and numpy, takes for the same whole number.
_LARGEST = 2**53


@dataclass(frozen=True)
class MetricsSettings:
    """The settings under `metrics`, and the seed; metrics.json repeats them.

    Attributes:
        k: cut-offs, from 1; kept ascending and without repeats.
        no_relevant: what a query without a relevant item does: `skip` leaves it out of every mean,
            `zero` gives it 0 (and G + 1 for ranks), `error` stops.
        exclude: which gallery items a query leaves out: `none`, `same_file`, `same_content` or
            `same_id`.
        same: names of attributes: a query also leaves out the gallery items of its label whose
            values in all of these are its own, as re-identification does by the camera.
        within: names of attributes: a query is ranked among the gallery items whose values in all
            of these are its own.
        bootstrap: resamples for the intervals, 1,000 to 1,000,000; 0 for no intervals.
        bootstrap_unit: what is resampled, `query` or `class`, or `auto`: as fits the data, see
            `lookalike.retrieval.units`.
        seed: seed of the resampling.

    Raises:
        LookalikeError: a value is not one of these.

    """

    k: Sequence[int] = (1, 10, 50)
    no_relevant: str = "skip"
    exclude: str = "none"
    bootstrap: int = 1000
    bootstrap_unit: str = AUTO
    seed: int = 0
    same: Sequence[str] = ()
    within: Sequence[str] = ()

    @classmethod
    def of_config(cls, values: Mapping[str, Any]) -> MetricsSettings:
        """Settings from config.yaml's `metrics` mapping."""
        exclude, same = exclusion(values)
        return cls(**{**values, "exclude": exclude, "same": same})

    @property
    def protocol(self) -> str:
        """Which gallery items a query is scored on, for a message."""
        parts = [f"exclude: {self.exclude}"]
        parts += [f"and same {', '.join(self.same)}"] * bool(self.same)
        parts += [f"within: {', '.join(self.within)}"] * bool(self.within)
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """As metrics.json has them: without attributes where there are none."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if value or key not in ("same", "within")
        }

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", sorted(set(self.k)))
        object.__setattr__(self, "same", tuple(self.same))
        object.__setattr__(self, "within", tuple(self.within))
        if not self.k or self.k[0] < 1 or self.k[-1] > _LARGEST:
            raise LookalikeError(
                f"k: {self.k} must be a list of whole numbers from 1 to {_LARGEST}"
            )
        if self.bootstrap != 0 and self.bootstrap < _FEWEST_RESAMPLES:
            raise LookalikeError(
                f"bootstrap: {self.bootstrap} resamples are too few for a 95 % interval; take "
                f"{_FEWEST_RESAMPLES} or more, or 0 for no intervals"
            )
        if self.bootstrap > _MOST_RESAMPLES:
            raise LookalikeError(
                f"bootstrap: {self.bootstrap} resamples would take for ever and change nothing; "
                f"take {_MOST_RESAMPLES} at most"
            )
        if not 0 <= self.seed <= _LARGEST:
            raise LookalikeError(f"seed: {self.seed} must be a whole number from 0 to {_LARGEST}")
        for name, value, allowed in (
            ("no_relevant", self.no_relevant, ("skip", "zero", "error")),
            ("exclude", self.exclude, ("none", "same_file", "same_content", "same_id")),
            ("bootstrap_unit", self.bootstrap_unit, (AUTO, *UNITS)),
        ):
            if value not in allowed:
                raise LookalikeError(f"{name}: '{value}' is not one of {', '.join(allowed)}")
