"""Checks what the clients of a load were told, and for each user the balance, the entries and the requests stored."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.buyers import BOUGHT, CONTRACT, FAILED, PATIENCE_SECONDS, TRY_AGAIN, Purchase
from benchmarks.clients import Answer
from credits import documents
from tests.support.assembly import audit_of
from tests.support.projects import Project

Stored = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Requests by user and id."""


def stored_requests(project: Project, user_ids: Sequence[str]) -> Stored:
    return {user_id: {request["id"]: request for request in project.requests_of(user_id)} for user_id in user_ids}


def released(stored: Stored) -> int:
    """How many requests ended because their lease did."""
    return sum(
        request.get("failure") == documents.LEASE_EXPIRED
        for requests in stored.values()
        for request in requests.values()
    )


def user_violations(project: Project, opening_credits: Mapping[str, int]) -> Iterator[str]:
    """The ledger's own audit, and what it cannot know: with how many credits each user began."""
    for audited in audit_of(project).of_all_users():
        yield from audited.violations
    for user_id, credits in opening_credits.items():
        first = next(iter(project.entries(user_id)), None)
        began_with = project.balance(user_id) if first is None else first["balanceAfter"] + first["credits"]
        if began_with != credits:
            yield f"{user_id}: began with {credits} credits, the books say {began_with}"


def answer_violations(purchases: Sequence[Purchase]) -> Iterator[str]:
    for purchase in purchases:
        for answer in purchase.answers:
            if answer.kind not in CONTRACT or (answer.kind in TRY_AGAIN and "Retry-After" not in answer.headers):
                yield f"{purchase.key}: not the contract's: {answer.kind} {dict(answer.body)}"
        if purchase.outcome is None:
            yield f"{purchase.key}: no final answer in {PATIENCE_SECONDS:g} s: {[a.kind for a in purchase.answers]}"
        if purchase.hangs:
            yield f"{purchase.key}: {purchase.hangs} requests were not answered at all"


def claim_violations(purchases: Sequence[Purchase], stored: Stored) -> Iterator[str]:
    """Each answer that the clients acted on against the request that is stored, and no stored request beside them."""
    claimed = Counter[str]()
    for purchase in purchases:
        if purchase.outcome not in (BOUGHT, FAILED):
            continue
        request_id = purchase.request_id or "none"
        claimed[request_id] += 1
        request = stored[purchase.user_id].get(request_id)
        if request is None or not _agrees(purchase.answers[-1], request):
            yield f"{purchase.key}: told {dict(purchase.answers[-1].body)}, stored {request}"
    kept = Counter(request_id for requests in stored.values() for request_id in requests)
    yield from (f"{request_id} is stored, and no client was told" for request_id in (kept - claimed))
    yield from (f"{request_id} was told to two purchases" for request_id in (claimed - kept))


def _agrees(answer: Answer, request: Mapping[str, Any]) -> bool:
    if answer.kind == BOUGHT:
        told = (documents.COMPLETED, answer.body.get("imageUrl"), answer.body.get("deductedCredits"))
        return told == (request["status"], request.get("imageUrl"), request["cost"])
    return (documents.FAILED, answer.details.get("refundedCredits")) == (request["status"], request["cost"])
