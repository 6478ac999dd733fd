"""What requests and answers may hold, as JSON Schema 2020-12, with the limits of the code that checks them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ai_simulator
import endpoint
import findings
import ledger
import reports
import validation
from consistency import COMPLETED, DEDUCTION, FAILED, GRANT, PENDING, REFUND
from records import MAX_USER_ID_LENGTH
from week_usage import DIMENSIONS

Schema = Mapping[str, Any]

CATALOG = json.loads(Path(__file__).with_name("seed.json").read_text(encoding="utf-8"))

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
PERCENT: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 100}
SECONDS: Schema = {"type": ["number", "null"], "minimum": 0}
BALANCE: Schema = {"type": "integer", "format": "int64", "minimum": 0, "maximum": ledger.MAX_CREDITS}
CREDITS: Schema = {**BALANCE, "minimum": 1}
TIME: Schema = {"type": "string", "format": "date-time", "description": "In UTC, to the microsecond."}
DAY_OR_UNKNOWN = rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|{reports.UNKNOWN})$"


def reference(name: str, kind: str = "schemas") -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def whole(pattern: str) -> str:
    """A pattern of Python's fullmatch, as JSON Schema needs it."""
    return f"^{pattern}$"


def closed(description: str, properties: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """An object with these fields and no other; all are there but the optional ones."""
    required = [name for name in properties if name not in {*optional}]
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        **({"required": required} if required else {}),
        **({"properties": properties} if properties else {}),
    }


def table(description: str, cell: Schema) -> Schema:
    """An object whose names are data."""
    return {"type": "object", "description": description, "additionalProperties": cell}


HEADERS: Mapping[str, tuple[str, Schema]] = {
    "Idempotent-Replayed": ("The answer is that of an earlier call with the same key.", {"const": "true"}),
    "Retry-After": ("After so many seconds it is worth trying again.", {"type": "integer", "minimum": 1}),
    "Allow": ("The methods of this function.", TEXT),
    "WWW-Authenticate": ("The scheme to use.", {"const": "Bearer"}),
    **{
        name: ("Tells a browser how little the page needs.", {"const": value})
        for name, value in endpoint.PAGE_HEADERS.items()
    },
}


def header(name: str, required: bool) -> dict[str, Any]:
    description, schema = HEADERS[name]
    return {"description": description, "required": required, "schema": schema}


# database.is_plain_id in words that JSON Schema has; a test compares the two.
PLAIN_ID = r"^(?!\.{1,2}$)(?!__[^/]*__$)[^/\u0000-\u001f\u007f-\u009f]+$"
USER_ID: Schema = {
    "type": "string",
    "description": "A user's id: no `/`, no control character, and not `.`, `..` or `__...__`.",
    "minLength": 1,
    "maxLength": MAX_USER_ID_LENGTH,
    "pattern": PLAIN_ID,
    "examples": ["testUser1"],
}
REQUEST_ID: Schema = {
    "type": "string",
    "description": "The id of a generation request, as this API gave it.",
    "minLength": 1,
    "maxLength": validation.MAX_REQUEST_ID_LENGTH,
    "pattern": PLAIN_ID,
}
PAGE_TOKEN: Schema = {
    "type": "string",
    "description": "The `nextPageToken` of the page before.",
    "pattern": "^[A-Za-z0-9_-]+=*$",
}
REPORT_ID: Schema = {
    "type": "string",
    "description": "The UTC day on which the report's week ends. A manual report has the time too.",
    "pattern": whole(reports.REPORT_ID.pattern),
}
MODEL: Schema = {"type": "string", "description": "The image model.", "enum": [*ai_simulator.MODEL_NAMES]}
STATUS: Schema = {
    "type": "string",
    "description": (
        f"`{PENDING}`: the credits are taken and the model is at work. `{COMPLETED}`: there is an image. "
        f"`{FAILED}`: there is none, and the credits are back."
    ),
    "enum": [*validation.STATUSES],
}
PROMPT: Schema = {
    "type": ["string", "null"],
    "description": "What the image shows, in words; valid Unicode, without lone surrogates.",
    "maxLength": validation.MAX_PROMPT_LENGTH,
}
NEXT_PAGE: Schema = described(PAGE_TOKEN, "Send it as `pageToken` for the next page. Absent on the last page.")


def option(what: str, shipped: Iterable[str]) -> Schema:
    """A field whose values are documents in Firestore, so that no list of them can be part of this description."""
    return {
        "type": "string",
        "description": f"A {what} of the catalog. Those shipped are the examples. A refusal names those on offer.",
        "examples": [*shipped],
    }


OPTIONS: Mapping[str, Schema] = {
    "style": option("style", CATALOG["styles"]),
    "color": option("color", CATALOG["colors"]),
    "size": option("size", CATALOG["sizes"]),
}

ORDER: Schema = {
    "type": "object",
    "description": "The image to make. Fields that are not named here are ignored.",
    "required": [name for name in validation.REQUIRED_FIELDS if name != "userId"],
    "properties": {
        "userId": {
            **or_null(USER_ID),
            "description": (
                "Who pays. Without it the caller does; where no token is sent it is required. "
                "Only an admin may name somebody else."
            ),
        },
        "model": MODEL,
        **OPTIONS,
        "prompt": PROMPT,
    },
}
GRANT_ORDER: Schema = {
    "type": "object",
    "description": "The credits to add. Fields that are not named here are ignored.",
    "required": [*validation.GRANT_FIELDS],
    "properties": {
        "userId": described(USER_ID, "Who gets the credits. A user who is new gets a balance."),
        "credits": {
            "type": "integer",
            "description": "How many credits to add, written as an integer.",
            "minimum": 1,
            "maximum": validation.MAX_GRANT_CREDITS,
        },
        "reason": {
            "type": "string",
            "description": "Why; the history shows it. Valid Unicode, without lone surrogates.",
            "minLength": 1,
            "maxLength": validation.MAX_REASON_LENGTH,
        },
    },
}

GENERATED = closed(
    "An image that was made and paid for.",
    {
        "generationRequestId": REQUEST_ID,
        "deductedCredits": described(CREDITS, "What the image cost."),
        "imageUrl": {
            "type": "string",
            "description": "Where the image is.",
            "minLength": 1,
            "maxLength": ai_simulator.MAX_URL_LENGTH,
        },
    },
)
QUOTE = closed(
    "A price, and the balance that would pay it.",
    {
        "requiredCredits": described(CREDITS, "What the image would cost."),
        "currentCredits": described(BALANCE, "The balance now."),
        "covered": {"type": "boolean", "description": "Whether the balance is large enough."},
    },
)
GRANTED = closed(
    "A grant that stands.",
    {
        "transactionId": described(TEXT, "The id of its entry in the user's history."),
        "userId": USER_ID,
        "grantedCredits": described(CREDITS, "What was added."),
        "currentCredits": described(BALANCE, "The balance right after the grant."),
    },
)
TRANSACTION = closed(
    "One change of a balance.",
    {
        "id": TEXT,
        "type": {"type": "string", "enum": [DEDUCTION, REFUND, GRANT]},
        "credits": described(CREDITS, f"How much. A `{DEDUCTION}` takes it, the others give it."),
        "balanceAfter": {
            **or_null(BALANCE),
            "description": "The balance right after this change. Null where nobody stored it.",
        },
        "generationRequestId": {
            "type": ["string", "null"],
            "description": f"The request that was paid or refunded. Null for a `{GRANT}`.",
        },
        "timestamp": TIME,
        "reason": described(TEXT, f"Why, for a `{GRANT}`."),
    },
    optional=["reason"],
)
STATEMENT = closed(
    "A balance and a page of its history, newest first, both as of one moment.",
    {
        "currentCredits": described(BALANCE, "The balance now."),
        "transactions": {"type": "array", "items": reference("Transaction"), "maxItems": validation.MAX_PAGE_SIZE},
        "nextPageToken": NEXT_PAGE,
    },
    optional=["nextPageToken"],
)
GENERATION = closed(
    "What became of one generation request.",
    {
        "generationRequestId": REQUEST_ID,
        "userId": USER_ID,
        **dict.fromkeys(("model", *OPTIONS), TEXT),
        "prompt": PROMPT,
        "cost": described(CREDITS, "Its price in credits."),
        "status": STATUS,
        "createdAt": TIME,
        "updatedAt": TIME,
        "imageUrl": described(TEXT, f"Where the image is, once it is `{COMPLETED}`."),
        "failure": {
            "type": "string",
            "description": f"Why it `{FAILED}`: the model gave no image, or its time ran out.",
            "enum": [ledger.GENERATION_FAILED, ledger.LEASE_EXPIRED],
        },
    },
    optional=["imageUrl", "failure"],
)
GENERATIONS = closed(
    "A page of a user's generation requests, newest first.",
    {
        "generationRequests": {
            "type": "array",
            "items": reference("Generation"),
            "maxItems": validation.MAX_PAGE_SIZE,
        },
        "nextPageToken": NEXT_PAGE,
    },
    optional=["nextPageToken"],
)

TALLY = closed(
    "What became of the requests for one option.",
    {"total": COUNT, COMPLETED: COUNT, FAILED: COUNT, "failureRate": described(PERCENT, "In percent of the settled.")},
)
DAY = closed(
    "What happened on one day.",
    {
        "total": COUNT,
        **dict.fromkeys((COMPLETED, FAILED, PENDING, reports.UNKNOWN), COUNT),
        "creditsSpent": COUNT,
        "creditsRefunded": COUNT,
    },
)
FINDING = closed(
    "Something in a week that the weeks before do not explain.",
    {
        "kind": {
            "type": "string",
            "enum": [
                findings.OUTAGE,
                findings.SUCCESS_RATE_DROP,
                findings.FAILURE_RATE_RISE,
                findings.FAILURE_RATE_HIGH,
                findings.REQUESTS_SPIKE,
                findings.REQUESTS_DROP,
                findings.CREDITS_SPIKE,
                findings.CREDITS_DROP,
                findings.NEW,
                findings.VANISHED,
                findings.SLOW_GENERATION,
            ],
        },
        "severity": {"type": "string", "enum": [findings.WARNING, findings.CRITICAL]},
        "dimension": {"type": "string", "enum": [findings.OVERALL, *DIMENSIONS]},
        "value": {"type": ["string", "null"], "description": "Which model, style, color or size."},
        "previous": {
            **or_null(NUMBER),
            "description": "What it is compared with: percent, requests, credits or seconds.",
        },
        "current": described(NUMBER, "This week's, in the same unit."),
        "change": {**or_null(NUMBER), "description": "The difference as a share of `previous`."},
        "previousSamples": described(COUNT, "How many requests `previous` rests on."),
        "currentSamples": described(COUNT, "How many requests `current` rests on."),
        "pValue": {"type": ["number", "null"], "description": "How probable it is by chance.", "minimum": 0},
        "score": {**or_null(NUMBER), "description": "Distance from the usual, in robust standard deviations."},
        "message": described(TEXT, "The finding in one sentence."),
    },
)
FIGURES: Mapping[str, Schema] = {
    "totalRequests": COUNT,
    "totalCompleted": COUNT,
    "totalFailed": COUNT,
    "totalPending": COUNT,
    "totalUnknown": COUNT,
    "totalCreditsSpent": COUNT,
    "totalCreditsRefunded": COUNT,
    "successRate": described(PERCENT, "In percent of the settled; null where there are none."),
    **{
        f"by{name.capitalize()}": table(f"By {name}; what is rare is added up.", reference("Tally"))
        for name in DIMENSIONS
    },
    "byDay": {**table("By day in UTC.", reference("Day")), "propertyNames": {"pattern": DAY_OR_UNKNOWN}},
    "distinctUsers": described(COUNT, f"Exact below {reports.COUNTED_USERS} users, an estimate above."),
    "generationSeconds": closed("How long an image took.", {"median": SECONDS, "p95": SECONDS}),
    "failureReasons": table("How often each reason was given.", COUNT),
}
WEEK_FIGURES = closed("The figures of one week.", FIGURES)
WEEKLY_REPORT = closed(
    "The figures of seven days, and what in them is out of the ordinary.",
    {
        "reportId": REPORT_ID,
        **FIGURES,
        "anomalies": {
            "type": "array",
            "description": "The findings, critical ones first.",
            "items": reference("Finding"),
            "maxItems": reports.MOST_FINDINGS,
        },
        "anomalyCount": described(COUNT, "How many findings there were, shown or not."),
        "windowStart": TIME,
        "windowEnd": described(TIME, "The first moment after the window, in UTC."),
        "scheduled": {"type": "boolean", "description": "Whether the schedule made it. Else somebody did."},
        "previousReportId": {"type": ["string", "null"], "description": "The report of the week before, if any."},
        "previous": {
            "description": "Without a report of the week before: what was counted in its stead.",
            "anyOf": [reference("WeekFigures"), {"type": "null"}],
        },
        "generatedAt": TIME,
    },
)
# Not `false`, which generators of clients do not know.
NOTHING: Schema = {"not": {}}
OLDER_REPORT: Schema = {
    "type": "object",
    "description": "A report of an older form. Its fields are those of its time.",
    "required": ["reportId"],
    "properties": {"reportId": REPORT_ID, "generatedAt": NOTHING},
}

SCHEMAS: Mapping[str, Schema] = {
    "GenerationOrder": ORDER,
    "Generated": GENERATED,
    "Quote": QUOTE,
    "Generation": GENERATION,
    "Generations": GENERATIONS,
    "Transaction": TRANSACTION,
    "Statement": STATEMENT,
    "GrantOrder": GRANT_ORDER,
    "Granted": GRANTED,
    "Tally": TALLY,
    "Day": DAY,
    "Finding": FINDING,
    "WeekFigures": WEEK_FIGURES,
    "WeeklyReport": WEEKLY_REPORT,
    "OlderReport": OLDER_REPORT,
}
