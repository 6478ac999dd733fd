"""The weekly report, as it is stored and as a client gets it: both have the same field names."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from pydantic.alias_generators import to_camel

from schemas.fields import REPORT_ID, Color, Model, NextPageToken, Size, Style, Timestamp, in_utc
from schemas.replies import Reply

Count = Annotated[int, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(ge=0)]
Canceled = Annotated[
    Count | None,
    Field(
        description="By the buyer or an admin: neither a success nor a failure. Null in older reports.", examples=[0]
    ),
]
StoredReportId = Annotated[str, Field(pattern=f"^{REPORT_ID}$", examples=["report_2026-03-09"])]
AlertId = Annotated[str, Field(examples=["report_2026-03-09-8c0f5e4f7f1f3b52"])]


class Stored(BaseModel):
    """A part of a stored report."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, json_schema_serialization_defaults_required=True
    )


class OptionUsage(Stored):
    """The requests with one option."""

    total: Count = Field(examples=[12])
    completed: Count = Field(examples=[11])
    failed: Count = Field(examples=[1])
    canceled: Canceled = None
    failure_rate: Percent | None = Field(
        description="In percent of the completed and failed; null if there are none.", examples=[8.33]
    )
    credits_spent: Count | None = Field(None, description="Null in older reports.", examples=[33])


class DayUsage(Stored):
    """The requests of one day in UTC."""

    total: Count = Field(examples=[12])
    completed: Count = Field(examples=[11])
    failed: Count = Field(examples=[1])
    canceled: Canceled = None
    pending: Count
    unknown: Count
    credits_spent: Count = Field(examples=[33])
    credits_refunded: Count = Field(examples=[3])
    credits_granted: Count | None = Field(None, description="Null in older reports.", examples=[100])
    credits_revoked: Count | None = Field(None, description="Null in older reports.", examples=[0])


class Outstanding(Stored):
    """The credits that all users together held at a moment."""

    credits: Count = Field(examples=[4120])
    at: Timestamp


class GenerationSeconds(Stored):
    """How long the completed requests took from order to picture, including the wait in a queue."""

    median: Seconds | None = Field(examples=[3.41])
    p95: Seconds | None = Field(examples=[3.79])


class ReportFinding(Stored):
    """What is out of the ordinary in a week."""

    kind: str = Field(examples=["failure_rate_rise"])
    severity: Literal["critical", "warning"]
    dimension: Literal["overall", "model", "style", "color", "size"] = Field(examples=["model"])
    value: str | None = Field(description="The option; null if the dimension is overall.", examples=["model-a"])
    previous: float | None = Field(
        description="What it is compared with, in percent, requests, credits or seconds.", examples=[1.0]
    )
    current: float = Field(description="This week's, in the same unit.", examples=[8.33])
    change: float | None = Field(description="The difference as a share of previous.", examples=[7.33])
    previous_samples: Count = Field(description="How many requests previous is based on.", examples=[100])
    current_samples: Count = Field(description="How many requests current is based on.", examples=[12])
    p_value: float | None = Field(
        description="The chance of so large a difference if nothing had changed.", examples=[0.002]
    )
    score: float | None = Field(
        description="The distance from the usual in robust standard deviations.", examples=[None]
    )
    message: str = Field(examples=["Failure rate of model 'model-a' rose to 8.3% (1 of 12)."])


class WeekUsage(Stored):
    """The figures of seven days."""

    total_requests: Count = Field(examples=[12])
    total_completed: Count = Field(examples=[11])
    total_failed: Count = Field(examples=[1])
    total_canceled: Canceled = None
    total_pending: Count
    total_unknown: Count
    total_credits_spent: Count = Field(examples=[33])
    total_credits_refunded: Count = Field(examples=[3])
    total_credits_granted: Count | None = Field(
        None, description="Given by admins and at sign-up; null in older reports.", examples=[100]
    )
    total_credits_revoked: Count | None = Field(
        None, description="Taken back by admins, or lost with an account; null in older reports.", examples=[0]
    )
    success_rate: Percent | None = Field(
        description="In percent of the completed and failed; null if there are none.", examples=[91.67]
    )
    by_model: dict[Model, OptionUsage]
    by_style: dict[Style, OptionUsage]
    by_color: dict[Color, OptionUsage]
    by_size: dict[Size, OptionUsage]
    by_day: dict[Annotated[str, Field(examples=["2026-03-02"])], DayUsage] = Field(description="By day in UTC.")
    distinct_users: Count = Field(examples=[7])
    generation_seconds: GenerationSeconds
    failure_reasons: dict[Annotated[str, Field(examples=["GENERATION_FAILED"])], Annotated[Count, Field(examples=[1])]]


class WeeklyReport(WeekUsage):
    """A week's figures, and what is out of the ordinary in them."""

    report_id: StoredReportId
    anomalies: list[ReportFinding] = Field(description="Critical ones first.")
    anomaly_count: Count = Field(description="How many there were, listed or not.", examples=[1])
    announced: dict[AlertId, Timestamp] = Field({}, description="When each alert was sent, by its id.")
    outstanding: Outstanding | None = Field(
        None,
        description="When the report was made; null if that was more than a day after the week.",
        examples=[{"credits": 4120, "at": "2026-03-09T00:20:00.000000Z"}],
    )
    window_start: Timestamp = Field(examples=["2026-03-02T00:00:00.000000Z"])
    window_end: Timestamp
    scheduled: bool
    previous_report_id: str | None = Field(
        description="The report of the week before, if there is one.", examples=["report_2026-03-02"]
    )
    previous: WeekUsage | None = Field(
        description="Without such a report, the figures of the week before.", examples=[None]
    )
    generated_at: Timestamp


class ReportSummary(Reply):
    """A weekly report in short. Null is what a report of an older form does not say."""

    report_id: StoredReportId
    window_start: Timestamp | None = Field(examples=["2026-03-02T00:00:00.000000Z"])
    window_end: Timestamp | None = Field(examples=["2026-03-09T00:00:00.000000Z"])
    scheduled: bool | None = Field(description="False for a report that somebody asked for.", examples=[True])
    generated_at: Timestamp | None = Field(examples=["2026-03-09T00:20:00.000000Z"])
    total_requests: Count | None = Field(examples=[12])
    total_completed: Count | None = Field(examples=[11])
    total_failed: Count | None = Field(examples=[1])
    total_canceled: Count | None = Field(examples=[0])
    total_credits_granted: Count | None = Field(examples=[100])
    total_credits_revoked: Count | None = Field(examples=[0])
    total_credits_spent: Count | None = Field(examples=[33])
    total_credits_refunded: Count | None = Field(examples=[3])
    anomaly_count: Count | None = Field(examples=[1])
    critical_count: Count | None = Field(description="How many of them are critical, of the first 100.", examples=[0])


class WeeklyReportsReply(Reply):
    """A page of the weekly reports, newest first."""

    reports: list[ReportSummary]
    next_page_token: NextPageToken = None


class OlderReport(RootModel[dict[str, Any]]):
    """A report that an earlier version stored, as it is."""

    model_config = ConfigDict(json_schema_extra={"required": ["reportId"]})


def report_reply(report_id: str, fields: Mapping[str, Any]) -> WeeklyReport | OlderReport:
    """A stored report as a client gets it, also one that an earlier version stored."""
    reply = {"reportId": report_id, **fields}
    try:
        return WeeklyReport.model_validate(reply)
    except ValidationError:
        return OlderReport.model_validate(json_ready(reply))


def json_ready(value: Any) -> Any:
    """A stored value as JSON: times in ISO 8601, and other values that JSON cannot hold as text."""
    if isinstance(value, Mapping):
        return {name: json_ready(item) for name, item in value.items()}
    if isinstance(value, list):
        return [json_ready(item) for item in value]
    if isinstance(value, datetime):
        return in_utc(value)
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)
