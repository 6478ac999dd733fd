"""Values as a stored report holds them -> Python values. Anybody can edit a document: invalid values become None."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from credits.documents import MAX_COST_CREDITS

# More requests or seconds than any week has. Far larger counts would make the exact tests slow.
MAX_NUMBER = 1_000_000_000
MAX_CREDITS = MAX_NUMBER * MAX_COST_CREDITS


def number(value: Any, minimum: float = 0, maximum: float = MAX_NUMBER) -> float | None:
    """A finite number within the limits."""
    return value if type(value) in (int, float) and minimum <= value <= maximum else None


def count(value: Any, maximum: float = MAX_NUMBER) -> int | None:
    """A whole number of at least 0."""
    found = number(value, maximum=maximum)
    return int(found) if found is not None and found == int(found) else None


def credits(value: Any) -> int | None:
    """A whole number of credits, as many as a week can sell."""
    return count(value, MAX_CREDITS)


def mapping(value: Any) -> Mapping[str, Any] | None:
    """A map."""
    return value if isinstance(value, Mapping) else None


def moment(value: Any) -> datetime | None:
    """A time in UTC. Older reports hold it as a text."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC) if isinstance(found, datetime) else None
    except (ValueError, OverflowError):
        return None
