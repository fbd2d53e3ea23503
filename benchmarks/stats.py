"""Medians, noise and ratios of repeated measurements: pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """A quantity measured several times.

    Attributes:
        median: The middle one.
        low: The smallest.
        high: The largest.
        noise: Distance of the quartiles, as a part of the median: 0.05 means that half of the
            measurements lie within about 2.5 % of it.
        count: How many there were.
    """

    median: float
    low: float
    high: float
    noise: float
    count: int


def summary(values: Sequence[float]) -> Summary:
    """Summarise measurements.

    Raises:
        ValueError: There are none.
    """
    if not values:
        raise ValueError("there is nothing to summarise")
    median = statistics.median(values)
    lower, upper = quartiles(values)
    noise = (upper - lower) / abs(median) if median else 0.0
    return Summary(median, min(values), max(values), noise, len(values))


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The values below which a quarter and three quarters lie; of one value, itself twice."""
    if len(values) < 2:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def paired_ratio(values: Sequence[float], others: Sequence[float]) -> Summary:
    """The ratio of two contestants, taken round by round and then summarised.

    What slows the machine down for a round slows both, so this is less noisy than the ratio
    of the medians.

    Raises:
        ValueError: There is no round that both have.
    """
    pairs = zip(values, others, strict=False)
    return summary([one / other for one, other in pairs if other])
