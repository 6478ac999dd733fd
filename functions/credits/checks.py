"""The ledger's rules: one pure function that lists every violation in a user's documents, in words.

Each rule compares documents that one commit wrote, so a change of one of them by hand is found.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from credits import documents
from credits.documents import (
    ACCOUNT_DELETED,
    CANCELED,
    COMPLETED,
    DEDUCTION,
    FAILED,
    GRANT,
    GRANTS,
    PENDING,
    PICTURE_TO_DELETE,
    REFUND,
    REVOCATION,
    SIGNS,
    STATUSES,
    is_count,
)
from credits.orders import Order
from credits.reservations import Purchase
from store import Document

_ORDER_FIELDS = ("credits", "balanceAfter", "reason", "grantedBy", "revokedBy", "timestamp")


def violations(
    user: Document,
    entries: Sequence[Document],
    requests: Sequence[Document],
    records: Sequence[Document],
    in_flight: Document,
    overdue_before: datetime,
) -> list[str]:
    """Every violation of the ledger's rules; each names its document.

    Args:
        user: the balance. If it does not exist, the account was deleted and has no balance to check.
        entries: the user's whole ledger, in any order.
        requests: all of the user's generation requests.
        records: all of the user's grants and revocations.
        in_flight: the user's reservations that count as pending.
        overdue_before: a pending request whose lease ended before this should have been released.
    """
    chain = sorted((entry for entry in entries if not _entry_problem(entry)), key=_by_time)
    # Older documents belong to an account that was deleted with its ledger, as an account-deletion extension does.
    began = chain[0].fields["timestamp"] if chain else None
    is_erased = not entries and not user.exists
    bought = [] if is_erased else [each for each in requests if _is_since(each.fields.get("createdAt"), began)]
    ordered = [] if is_erased else [each for each in records if _is_since(each.fields.get("timestamp"), began)]
    return [
        *_balance_violations(user, chain),
        *(f"{entry.path}: {problem}" for entry in entries if (problem := _entry_problem(entry))),
        *_chain_violations(chain),
        *_request_pairs(entries, bought),
        *_record_pairs(entries, ordered),
        *(violation for request in requests for violation in _request_violations(request, overdue_before)),
        *_in_flight_violations(in_flight, requests),
    ]


def _is_since(created: Any, began: datetime | None) -> bool:
    return not (began and isinstance(created, datetime) and created < began)


def _balance_violations(user: Document, chain: Sequence[Document]) -> Iterable[str]:
    expected = chain[-1].fields["balanceAfter"] if chain else 0
    credits = user.fields.get("credits")
    if user.exists and _differ(credits, expected):
        yield f"{user.path}: credits is {credits!r:.50}, expected {expected}"


def _entry_problem(entry: Document) -> str | None:
    data = entry.fields
    if _text(data.get("type")) not in SIGNS:
        return f"type is not one of {', '.join(SIGNS)}"
    if not is_count(data.get("credits"), minimum=1):
        return "credits is not an integer above 0"
    if not is_count(data.get("balanceAfter"), minimum=0):
        return "balanceAfter is not an integer of at least 0"
    if not isinstance(data.get("timestamp"), datetime):
        return "timestamp is not a time"
    return None


def _chain_violations(chain: Sequence[Document]) -> Iterable[str]:
    """Each balanceAfter follows from the one before; the first from zero."""
    before = 0
    for entry in chain:
        expected = before + SIGNS[entry.fields["type"]] * entry.fields["credits"]
        before = entry.fields["balanceAfter"]
        if before != expected:
            yield f"{entry.path}: balanceAfter is {before}, expected {expected}"


def _request_pairs(entries: Sequence[Document], requests: Sequence[Document]) -> Iterable[str]:
    """Each request has one deduction, and if it failed or was canceled one refund; each such entry has its request."""
    found = Counter((_request_of(entry), _text(entry.fields.get("type"))) for entry in entries)
    by_id = {entry.id: entry for entry in entries}
    for request in requests:
        for kind, count, when in _expected_entries(request):
            if found[request.id, kind] != count:
                yield f"{request.path}: has {found[request.id, kind]} {kind} entries, expected {count}"
            if count:
                yield from _amount_violations(request, by_id.get(documents.entry_id_of(request.id, kind)), kind, when)
    known = {request.id for request in requests}
    for entry in entries:
        is_paired = _text(entry.fields.get("type")) in (DEDUCTION, REFUND)
        if is_paired and _request_of(entry) not in known:
            yield f"{entry.path}: belongs to no request of this user"


def _expected_entries(request: Document) -> Iterable[tuple[str, int, str]]:
    """The entry types, how many of each a request must have, and the request's field with the same time."""
    status, failure = request.fields.get("status"), request.fields.get("failure")
    # A deleted account gets no refund: there is no balance to add it to.
    is_refunded = status == CANCELED or (status == FAILED and failure != ACCOUNT_DELETED)
    return (DEDUCTION, 1, "createdAt"), (REFUND, int(is_refunded), "updatedAt")


def _amount_violations(request: Document, entry: Document | None, kind: str, when: str) -> Iterable[str]:
    if entry is None:
        yield f"{request.path}: has no entry {documents.entry_id_of(request.id, kind)}"
        return
    if _differ(entry.fields.get("credits"), request.fields.get("cost")):
        yield f"{entry.path}: credits differs from the request's cost"
    if _differ(entry.fields.get("timestamp"), request.fields.get(when)):
        yield f"{entry.path}: timestamp differs from the request's {when}"


def _record_pairs(entries: Sequence[Document], records: Sequence[Document]) -> Iterable[str]:
    """Each grant and each revocation has its entry, each such entry has its record, and both agree."""
    found = {entry.id: entry for entry in entries if _text(entry.fields.get("type")) in (GRANT, REVOCATION)}
    for record in records:
        kind = GRANT if record.path.startswith(f"{GRANTS}/") else REVOCATION
        entry_id = documents.entry_id_of(record.id, kind)
        entry = found.pop(entry_id, None)
        yield from _record_violations(record, kind)
        if entry is not None:
            different = [name for name in _ORDER_FIELDS if _differ(record.fields.get(name), entry.fields.get(name))]
            if entry.fields.get("type") != kind:
                different.append("type")
            yield from (f"{entry.path}: {name} differs from {record.path}" for name in different)
        elif kind == GRANT or record.fields.get("credits") != 0:
            yield f"{record.path}: has no entry {entry_id}"
    yield from (f"{entry.path}: belongs to no {entry.fields['type']} of this user" for entry in found.values())


def _record_violations(record: Document, kind: str) -> Iterable[str]:
    fields = record.fields
    credits, missing, balance = fields.get("credits"), fields.get("missing", 0), fields.get("balanceAfter")
    if not (is_count(credits, minimum=0) and is_count(missing, minimum=0) and is_count(balance, minimum=0)):
        yield f"{record.path}: credits, missing or balanceAfter is not an integer of at least 0"
    elif (kind == GRANT) == ("missing" in fields) or (missing and balance):
        yield f"{record.path}: missing is wrong"
    else:
        order = Order("", str(fields.get("userId")), credits + missing, _text(fields.get("reason")))
        if fields.get("fingerprint") != order.fingerprint:
            yield f"{record.path}: is not what was ordered"


def _request_violations(request: Document, overdue_before: datetime) -> Iterable[str]:
    data = request.fields
    status, lease = data.get("status"), data.get("leaseExpiresAt")
    if not is_count(data.get("cost"), minimum=1):
        yield f"{request.path}: cost is not an integer above 0"
    if status not in STATUSES:
        yield f"{request.path}: status is not one of {', '.join(STATUSES)}"
    if status == COMPLETED and not _text(data.get("imageUrl")):
        yield f"{request.path}: is completed without an image"
    if status in (FAILED, CANCELED) and data.get("imageUrl"):
        yield f"{request.path}: is {status} and has an image"
    if status == CANCELED and data.get("failure"):
        yield f"{request.path}: is canceled and has a failure"
    yield from _run_violations(request)
    if status == PENDING:
        if not isinstance(lease, datetime):
            yield f"{request.path}: is pending without a lease"
        elif lease < overdue_before:
            yield f"{request.path}: is pending past its lease"
    options: Any = (data.get(name) for name in ("userId", "model", "style", "color", "size", "prompt"))
    if not _is_digest(data.get("fingerprint"), Purchase(*options)):
        yield f"{request.path}: is not what was ordered"


def _run_violations(request: Document) -> Iterable[str]:
    """The claims of an asynchronous request, and the mark of a picture that nobody was sold."""
    data = request.fields
    claims = data.get("claims", [])
    if ("claims" in data) != ("claimableAt" in data):
        yield f"{request.path}: has only one of claimableAt and claims"
    if "claimableAt" in data and not isinstance(data["claimableAt"], datetime):
        yield f"{request.path}: claimableAt is not a time"
    if not isinstance(claims, list) or not all(map(_text, claims)):
        yield f"{request.path}: claims is not a list of texts"
        claims = []
    # A completed request has a picture that was sold. Only a claim that was lost can have left another one.
    may_leave_picture = data.get("status") in (FAILED, CANCELED) or (data.get("status") == COMPLETED and claims[1:])
    if PICTURE_TO_DELETE in data and (data[PICTURE_TO_DELETE] is not True or not may_leave_picture):
        yield f"{request.path}: {PICTURE_TO_DELETE} is wrong"


def _is_digest(fingerprint: Any, purchase: Purchase) -> bool:
    try:
        return bool(fingerprint == purchase.fingerprint())
    except TypeError:
        # It has a value that JSON cannot hold.
        return False


def _in_flight_violations(in_flight: Document, requests: Sequence[Document]) -> Iterable[str]:
    """Exactly the pending requests count as in flight. Otherwise a user is refused wrongly, or passes the limit."""
    pending = {each.id: each.fields.get("leaseExpiresAt") for each in requests if each.fields.get("status") == PENDING}
    leases = in_flight.fields.get("leases", {})
    if not isinstance(leases, Mapping):
        yield f"{in_flight.path}: leases is not a map"
        return
    yield from (f"{in_flight.path}: {id} is not pending" for id in leases if id not in pending)
    for request_id, lease in pending.items():
        if _differ(leases.get(request_id), lease):
            yield f"{in_flight.path}: {request_id} is pending but has no lease here"


def _differ(one: Any, other: Any) -> bool:
    # In Python, 1 equals True.
    return type(one) is not type(other) or bool(one != other)


def _request_of(entry: Document) -> str:
    return _text(entry.fields.get("generationRequestId"))


def _by_time(entry: Document) -> tuple[datetime, str]:
    # Entries of one commit share its time, and their ids give their order.
    return entry.fields["timestamp"], entry.id


def _text(value: Any) -> str:
    """The value if it is a string, otherwise an empty one: other values may not be hashable."""
    return value if isinstance(value, str) else ""
