"""What a finding is: its kinds, its form, and the thresholds from which a difference counts."""

from dataclasses import dataclass

WARNING, CRITICAL = "warning", "critical"
OUTAGE = "outage"
SUCCESS_RATE_DROP = "success_rate_drop"
FAILURE_RATE_RISE = "failure_rate_rise"
FAILURE_RATE_HIGH = "failure_rate_high"
REQUESTS_SPIKE, REQUESTS_DROP = "requests_spike", "requests_drop"
CREDITS_SPIKE, CREDITS_DROP = "credits_spike", "credits_drop"
NEW, VANISHED = "new", "vanished"
SLOW_GENERATION = "slow_generation"

OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a difference counts; the public design's own thresholds decide here what is critical.

    Rates, levels, changes and variations are shares, from 0 to below 1 (0.2 is 20 %). Factors are ratios above 1, those
    of a drop from 0 to 1.

    Attributes:
        minimum_samples: a rate, a category or a week with fewer requests is not judged: "over 10".
        significance_level: chance of a false finding within a family of tests.
        failure_rate_rise_minimum: a smaller rise is trivia, however significant.
        failure_rate_rise_factor: likewise, as a ratio.
        failure_rate_floor: a significant rise to more than this, and by failure_rate_factor, is critical.
        failure_rate_factor: see failure_rate_floor.
        failure_rate_alarming: with too few samples before to compare with, this rate alone is a critical finding.
        success_rate_drop_factor: success at most this share of what it was is critical.
        volume_spike_factor: this many times the week before is a spike.
        volume_drop_factor: at most this share of the week before is a drop.
        volume_variation: a week's volume is ordinary within this share of its usual level, either way.
        volume_change_minimum: a volume nearer than this to the usual level (the median) is never a finding.
        robust_score_limit: a score beyond this is no chance.
        robust_score_weeks: with this many weeks of history or more, their own spread is the measure.
        slow_generation_factor: this many times the usual generation time is slow.
    """

    minimum_samples: int = 11
    significance_level: float = 0.015
    failure_rate_rise_minimum: float = 0.015
    failure_rate_rise_factor: float = 1.2
    failure_rate_floor: float = 0.20
    failure_rate_factor: float = 2.0
    failure_rate_alarming: float = 0.5
    success_rate_drop_factor: float = 0.5
    volume_spike_factor: float = 3.0
    volume_drop_factor: float = 0.5
    volume_variation: float = 0.2
    volume_change_minimum: float = 0.3
    robust_score_limit: float = 3.0
    robust_score_weeks: int = 6
    slow_generation_factor: float = 2.0


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One finding.

    Attributes:
        dimension: "overall" or one of DIMENSIONS; `value` is then the category's name.
        previous: what it is compared with, in percent, requests, credits or seconds; None where there is nothing.
        current: this week's, in the same unit.
        change: (current - previous) / previous; None where previous is None or 0.
        previous_samples: how many requests `previous` rests on.
        p_value: corrected for the number of tests where several were made at once.
        score: distance from the usual, in robust standard deviations.
        message: one sentence for an operator.
    """

    kind: str
    severity: str
    dimension: str
    value: str | None
    previous: float | None
    current: float
    previous_samples: int
    current_samples: int
    p_value: float | None
    score: float | None
    message: str

    @property
    def change(self) -> float | None:
        return (self.current - self.previous) / self.previous if self.previous else None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """As the report stores it; every number is finite."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "dimension": self.dimension,
            "value": self.value,
            "previous": _rounded(self.previous),
            "current": _rounded(self.current),
            "change": _rounded(self.change),
            "previousSamples": self.previous_samples,
            "currentSamples": self.current_samples,
            "pValue": self.p_value,
            "score": _rounded(self.score),
            "message": self.message,
        }


def weeks_before(weeks: int) -> str:
    """What a message calls the history."""
    return "the week before" if weeks == 1 else f"the {weeks} weeks before"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
