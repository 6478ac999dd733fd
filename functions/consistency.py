"""Whether a user's books hold together. Pure: documents -> violations, in words."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from database import Document

PENDING, COMPLETED, FAILED = "pending", "completed", "failed"
DEDUCTION, REFUND, GRANT = "deduction", "refund", "grant"
SIGNS = {DEDUCTION: -1, REFUND: 1, GRANT: 1}


def violations(
    user: Document,
    entries: Sequence[Document],
    requests: Sequence[Document],
    in_flight: Document,
    overdue_before: datetime,
) -> list[str]:
    """Everything that breaks the ledger's rules; each violation names the document.

    Args:
        user: the balance.
        entries: the user's whole ledger, in any order.
        requests: all of the user's generation requests.
        in_flight: the user's reservations that count as pending.
        overdue_before: a pending request whose lease ended before this should have been released.
    """
    well_formed = [entry for entry in entries if not _entry_problem(entry)]
    return [
        *_balance_violations(user),
        *(f"{entry.path}: {problem}" for entry in entries if (problem := _entry_problem(entry))),
        *_chain_violations(user, sorted(well_formed, key=_by_time)),
        *_pairing_violations(entries, requests),
        *(violation for request in requests for violation in _request_violations(request, overdue_before)),
        *_in_flight_violations(in_flight, requests),
    ]


def _balance_violations(user: Document) -> Iterable[str]:
    if user.data is None:
        yield f"{user.path}: does not exist"
    elif not _is_amount(user.data.get("credits"), least=0):
        yield f"{user.path}: credits is no integer of at least 0"


def _entry_problem(entry: Document) -> str | None:
    data = entry.fields
    if _text(data.get("type")) not in SIGNS:
        return "type is none of deduction, refund, grant"
    if not _is_amount(data.get("credits"), least=1):
        return "credits is no integer above 0"
    if not _is_amount(data.get("balanceAfter"), least=0):
        return "balanceAfter is no integer of at least 0"
    if not isinstance(data.get("timestamp"), datetime):
        return "timestamp is no time"
    return None


def _chain_violations(user: Document, entries: Sequence[Document]) -> Iterable[str]:
    """Each balanceAfter follows from the one before, and the last is the balance."""
    for before, after in pairwise(entries):
        expected = before.fields["balanceAfter"] + SIGNS[after.fields["type"]] * after.fields["credits"]
        if after.fields["balanceAfter"] != expected:
            yield f"{after.path}: balanceAfter is {after.fields['balanceAfter']}, expected {expected}"
    if entries and user.fields.get("credits") != entries[-1].fields["balanceAfter"]:
        yield f"{user.path}: credits is {user.fields.get('credits')}, expected {entries[-1].fields['balanceAfter']}"


def _pairing_violations(entries: Sequence[Document], requests: Sequence[Document]) -> Iterable[str]:
    """Each request has one deduction, and one refund exactly when it failed; each such entry has its request."""
    found = Counter((_request_of(entry), _text(entry.fields.get("type"))) for entry in entries)
    by_id = {entry.id: entry for entry in entries}
    for request in requests:
        due = {DEDUCTION: 1, REFUND: 1 if request.fields.get("status") == FAILED else 0}
        for kind, count in due.items():
            if found[request.id, kind] != count:
                yield f"{request.path}: has {found[request.id, kind]} {kind} entries, expected {count}"
            if count:
                yield from _amount_violations(request, by_id.get(f"{request.id}-{kind}"), kind)
    known = {request.id for request in requests}
    for entry in entries:
        pairs = _text(entry.fields.get("type")) in (DEDUCTION, REFUND)
        if pairs and _request_of(entry) not in known:
            yield f"{entry.path}: belongs to no request of this user"


def _amount_violations(request: Document, entry: Document | None, kind: str) -> Iterable[str]:
    if entry is None:
        yield f"{request.path}: has no entry {request.id}-{kind}"
    elif entry.fields.get("credits") != request.fields.get("cost"):
        yield f"{entry.path}: credits differs from the request's cost"


def _request_of(entry: Document) -> str:
    return _text(entry.fields.get("generationRequestId"))


def _request_violations(request: Document, overdue_before: datetime) -> Iterable[str]:
    data = request.fields
    status, lease = data.get("status"), data.get("leaseExpiresAt")
    if not _is_amount(data.get("cost"), least=1):
        yield f"{request.path}: cost is no integer above 0"
    if _text(status) not in (PENDING, COMPLETED, FAILED):
        yield f"{request.path}: status is none of pending, completed, failed"
    if status == COMPLETED and not _text(data.get("imageUrl")):
        yield f"{request.path}: is completed without an image"
    if status == FAILED and data.get("imageUrl"):
        yield f"{request.path}: failed and has an image"
    if status == PENDING:
        if not isinstance(lease, datetime):
            yield f"{request.path}: is pending without a lease"
        elif lease < overdue_before:
            yield f"{request.path}: is pending past its lease"


def _in_flight_violations(in_flight: Document, requests: Sequence[Document]) -> Iterable[str]:
    """What counts as pending is pending, or its user would be refused for nothing."""
    pending = {request.id for request in requests if request.fields.get("status") == PENDING}
    leases = in_flight.fields.get("leases", {})
    if not isinstance(leases, Mapping):
        yield f"{in_flight.path}: leases is no map"
    else:
        yield from (f"{in_flight.path}: {id} is not pending" for id in leases if id not in pending)


def _by_time(entry: Document) -> tuple[Any, ...]:
    # Two entries may share a timestamp's millisecond, never the microsecond of their commits.
    return entry.fields["timestamp"], entry.version, entry.id


def _text(value: Any) -> str:
    """The value if it is a text; anything else, which may not even be hashable, is none that we know."""
    return value if isinstance(value, str) else ""


def _is_amount(value: Any, least: int) -> bool:
    return type(value) is int and value >= least
