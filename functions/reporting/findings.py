"""A finding: what a week holds that the weeks before do not explain."""

import hashlib
from dataclasses import dataclass
from typing import Any

from reporting import stored

WARNING, CRITICAL = "warning", "critical"
OVERALL = "overall"
_ROUNDED = ("previous", "current", "change", "score")
# Attributes -> stored names.
_FIELDS = {name: name for name in ("kind", "message", "severity", "dimension", "value", *_ROUNDED)}
_FIELDS |= {"previous_samples": "previousSamples", "current_samples": "currentSamples", "p_value": "pValue"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. docs/report.md lists the kinds.

    Attributes:
        message: one sentence for an operator.
        dimension: "overall" or one of DIMENSIONS; `value` is then the category's name.
        previous: what `current` is compared with, both in percent, requests, credits or seconds.
        previous_samples: how many requests `previous` is based on.
        p_value: corrected for the number of tests if several were made at once.
        score: distance from the usual, in robust standard deviations.
    """

    kind: str
    message: str
    severity: str = WARNING
    dimension: str = OVERALL
    value: str | None = None
    previous: float | None = None
    current: float | None = None
    previous_samples: int | None = None
    current_samples: int | None = None
    p_value: float | None = None
    score: float | None = None

    @property
    def change(self) -> float | None:
        """(current - previous) / previous; None if there is no previous or it is 0."""
        return (self.current - self.previous) / self.previous if self.previous and self.current is not None else None

    def alert_id(self, report_id: str) -> str:
        """Names the finding; the same if the report is made again."""
        parts = repr((report_id, self.kind, self.dimension, self.value))
        return f"{report_id}-{hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()}"

    def to_fields(self) -> dict[str, Any]:
        """The stored form; every number is finite."""
        values = {name: getattr(self, attribute) for attribute, name in _FIELDS.items()}
        return {name: round(value, 4) if name in _ROUNDED and value else value for name, value in values.items()}

    @classmethod
    def from_fields(cls, value: Any) -> "Finding | None":
        """Reads the stored form, or a sentence as older reports have it; None for anything else."""
        fields = {"message": value} if isinstance(value, str) else stored.mapping(value)
        if fields is None:
            return None
        kind, category = fields.get("kind") or "", fields.get("value")
        return cls(
            kind=str(kind),
            message=str(fields.get("message") or kind or "A finding without a description."),
            severity=CRITICAL if fields.get("severity") == CRITICAL else WARNING,
            dimension=str(fields.get("dimension") or OVERALL),
            value=None if category is None else str(category),
            previous=stored.number(fields.get("previous")),
            current=stored.number(fields.get("current")),
            previous_samples=stored.count(fields.get("previousSamples")),
            current_samples=stored.count(fields.get("currentSamples")),
            p_value=stored.number(fields.get("pValue")),
            score=stored.number(fields.get("score"), minimum=-stored.MAX_NUMBER),
        )


def weeks_before(weeks: int) -> str:
    """What a message calls the history."""
    return "the week before" if weeks == 1 else f"the {weeks} weeks before"
