"""Whether the ledger is consistent: `violations` is the pure check of one user's documents, Audit reads them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from credits import documents
from credits.documents import COMPLETED, DEDUCTION, FAILED, PENDING, REFUND, SIGNS, STATUSES, is_count
from store import Document, Query, Store

PAGE_SIZE = 500


class Audit:
    """Checks users against the ledger's rules; writes nothing.

    `clock` gives aware UTC datetimes. A request may be pending for `grace_seconds` past its lease, since the sweep
    comes every few minutes.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], grace_seconds: float = 0.0) -> None:
        self._store = store
        self._clock = clock
        self._grace = timedelta(seconds=grace_seconds)

    def of_user(self, user_id: str) -> list[str]:
        """Every violation in a user's documents, in words, as of one moment.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        paths = [documents.user_path(user_id), documents.in_flight_path(user_id)]
        read = self._store.read(paths)
        user, in_flight = (read[path] for path in paths)
        entries = self._all(Query(documents.entries_path(user_id), limit=PAGE_SIZE), user)
        mine = (("userId", "==", user_id),)
        requests = self._all(Query(documents.GENERATION_REQUESTS, where=mine, limit=PAGE_SIZE), user)
        return violations(user, entries, requests, in_flight, self._clock() - self._grace)

    def of_all_users(self) -> Iterator[tuple[str, list[str]]]:
        """Each user's id with the violations, then the requests that belong to no user, under an empty id.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        known: set[str] = set()
        for page in self._store.pages(Query(documents.USERS, limit=PAGE_SIZE)):
            for user in page:
                known.add(user.id)
                yield user.id, self.of_user(user.id)
        for page in self._store.pages(Query(documents.GENERATION_REQUESTS, limit=PAGE_SIZE)):
            for request in page:
                user_id = documents.existing(request).get("userId")
                # Read again: the user may be newer than the first walk.
                if not isinstance(user_id, str) or (user_id not in known and not self._exists(user_id)):
                    yield "", [f"{request.path} belongs to no user"]

    def _exists(self, user_id: str) -> bool:
        return documents.is_user_id(user_id) and self._store.read_one(documents.user_path(user_id)).data is not None

    def _all(self, query: Query, as_of: Document) -> list[Document]:
        return [document for page in self._store.pages(query, read_time=as_of.read_time) for document in page]


def violations(
    user: Document,
    entries: Sequence[Document],
    requests: Sequence[Document],
    in_flight: Document,
    overdue_before: datetime,
) -> list[str]:
    """Everything that breaks the ledger's rules; each violation names its document.

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
    elif not is_count(user.data.get("credits"), minimum=0):
        yield f"{user.path}: credits is not an integer of at least 0"


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


def _chain_violations(user: Document, entries: Sequence[Document]) -> Iterable[str]:
    """Each balanceAfter follows from the one before, and the last is the balance."""
    for before, after in pairwise(entries):
        expected = before.fields["balanceAfter"] + SIGNS[after.fields["type"]] * after.fields["credits"]
        if after.fields["balanceAfter"] != expected:
            yield f"{after.path}: balanceAfter is {after.fields['balanceAfter']}, expected {expected}"
    if entries and user.fields.get("credits") != entries[-1].fields["balanceAfter"]:
        yield f"{user.path}: credits is {user.fields.get('credits')}, expected {entries[-1].fields['balanceAfter']}"


def _pairing_violations(entries: Sequence[Document], requests: Sequence[Document]) -> Iterable[str]:
    """Each request has one deduction, and one refund exactly if it failed; each such entry has its request."""
    found = Counter((_request_of(entry), _text(entry.fields.get("type"))) for entry in entries)
    by_id = {entry.id: entry for entry in entries}
    for request in requests:
        due = {DEDUCTION: 1, REFUND: 1 if request.fields.get("status") == FAILED else 0}
        for kind, count in due.items():
            if found[request.id, kind] != count:
                yield f"{request.path}: has {found[request.id, kind]} {kind} entries, expected {count}"
            if count:
                yield from _amount_violations(request, by_id.get(documents.entry_id_of(request.id, kind)), kind)
    known = {request.id for request in requests}
    for entry in entries:
        is_paired = _text(entry.fields.get("type")) in (DEDUCTION, REFUND)
        if is_paired and _request_of(entry) not in known:
            yield f"{entry.path}: belongs to no request of this user"


def _amount_violations(request: Document, entry: Document | None, kind: str) -> Iterable[str]:
    if entry is None:
        yield f"{request.path}: has no entry {documents.entry_id_of(request.id, kind)}"
    elif entry.fields.get("credits") != request.fields.get("cost"):
        yield f"{entry.path}: credits differs from the request's cost"


def _request_violations(request: Document, overdue_before: datetime) -> Iterable[str]:
    data = request.fields
    status, lease = data.get("status"), data.get("leaseExpiresAt")
    if not is_count(data.get("cost"), minimum=1):
        yield f"{request.path}: cost is not an integer above 0"
    if status not in STATUSES:
        yield f"{request.path}: status is not one of {', '.join(STATUSES)}"
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
    """What counts as pending is pending; otherwise its user would be refused for nothing."""
    pending = {request.id for request in requests if request.fields.get("status") == PENDING}
    leases = in_flight.fields.get("leases", {})
    if not isinstance(leases, Mapping):
        yield f"{in_flight.path}: leases is not a map"
    else:
        yield from (f"{in_flight.path}: {id} is not pending" for id in leases if id not in pending)


def _request_of(entry: Document) -> str:
    return _text(entry.fields.get("generationRequestId"))


def _by_time(entry: Document) -> tuple[datetime, str]:
    # Entries of one commit share its time, and their ids give their order.
    return entry.fields["timestamp"], entry.id


def _text(value: Any) -> str:
    """The value if it is a text; anything else may not even be hashable, and is none that we know."""
    return value if isinstance(value, str) else ""
