"""What must hold when a case has come to its end."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud.firestore import FieldFilter

from credits.documents import CANCELED, COMPLETED, DEDUCTION
from images.keeping import PictureKey
from tests.support.assembly import audit_of
from tests.support.faults.breaking import Breaker, Fault
from tests.support.faults.case import CLAIM_ENDED, NOTES, OPENING_CREDITS, RUN, Case
from tests.support.faults.killing import must_die
from tests.support.faults.scenarios import COST_CREDITS, SCENARIOS, act, sweep, take_over
from tests.support.files import TRAINED_MARK
from tests.support.purchases import Said, Sold, Told

Requests = Sequence[Mapping[str, Any]]
# What a client can be told in the end that gets no image.
ENDS = (Said.FAILED, Said.CANCELED, Said.GRANTED, Said.REVOKED)


def problems_after(case: Case, fault: Fault) -> list[str]:
    """Plays one case to its end and tells everything that is wrong then."""
    breaker = Breaker(case.cancel_elsewhere, {fault.rpc: fault.way})
    if fault.way.kills:
        # Its client heard nothing.
        must_die(act, case, breaker)
        return problems_when_settled(case, [])
    return problems_when_settled(case, [act(case, breaker), *breaker.told])


def problems_when_settled(case: Case, told: list[Told]) -> list[str]:
    """What is wrong after the client retried, claims and leases ran out, sweeps ran and the client retried again."""
    told.append(case.ask_elsewhere())
    if SCENARIOS[case.scenario].is_async:
        take_over(case)
        told.append(case.ask_elsewhere())
    sweep(case)
    told.append(case.ask_elsewhere())
    requests = case.project.requests_of(case.user_id)
    sold = _paid_for(case, requests)
    return [
        *audit_of(case.project).of_user(case.user_id).violations,
        *_wrong_pictures(case, requests),
        *_repeated_runs(case),
        *_wrong_balance(case, sold),
        *_untrue_answers(requests, sold, told),
    ]


def _wrong_balance(case: Case, sold: Sequence[Sold]) -> list[str]:
    problems = [f"{len(sold)} images were paid for"] if len(sold) > 1 else []
    expected_credits = OPENING_CREDITS + SCENARIOS[case.scenario].granted_credits - COST_CREDITS * len(sold)
    balance_credits = case.project.balance(case.user_id)
    if balance_credits != expected_credits:
        problems.append(f"the balance is {balance_credits} with {len(sold)} images paid for")
    return problems


def _untrue_answers(requests: Requests, sold: Sequence[Sold], told: Sequence[Told]) -> list[str]:
    problems = [
        f"the client got {answer}, unpaid" for answer in told if isinstance(answer, Sold) and answer not in sold
    ]
    if Said.FAILED in told and sold:
        problems.append("the client was told of a failure and paid for an image")
    if Said.CANCELED in told and any(its["status"] != CANCELED for its in requests):
        problems.append("the client was told of a cancellation, and the request is not canceled")
    if not (isinstance(told[-1], Sold) or told[-1] in ENDS):
        problems.append(f"the client's last retry was told {told[-1]}")
    return problems


def _paid_for(case: Case, requests: Requests) -> list[Sold]:
    """Each image that was paid for, as the client must be told of it."""
    entries = case.project.entries(case.user_id)
    left = {entry["generationRequestId"]: entry["balanceAfter"] for entry in entries if entry["type"] == DEDUCTION}
    return [Sold(its["imageUrl"], left[its["id"]]) for its in requests if its["status"] == COMPLETED]


def _wrong_pictures(case: Case, requests: Requests) -> list[str]:
    """Completed requests without their picture, and pictures that nobody was sold."""
    if case.bucket is None:
        return []
    wanted = {
        PictureKey(case.user_id, its["id"], (its.get("claims") or [its["attemptId"]])[-1]).object_name: its["imageUrl"]
        for its in requests
        if its["status"] == COMPLETED
    }
    there = case.bucket.names(f"images/{case.user_id}/")
    problems = [f"{name} was sold and is not there" for name in wanted.keys() - there]
    problems += [f"{name} is there and was not sold" for name in there - wanted.keys()]
    for name in there & wanted.keys():
        token = case.bucket.about(name)["metadata"]["firebaseStorageDownloadTokens"]
        if not wanted[name].endswith(f"token={token}") or TRAINED_MARK not in case.bucket.data(name):
            problems.append(f"{name} has another token, or no mark")
    return problems


def _repeated_runs(case: Case) -> list[str]:
    """The model may run once for each claim or synchronous purchase, and again only if a claim has ended."""
    noted = case.project.client.collection(NOTES).where(filter=FieldFilter("userId", "==", case.user_id))
    notes = collections.Counter((snapshot.get("what"), snapshot.get("run")) for snapshot in noted.stream())
    runs = {run: count for (what, run), count in notes.items() if what == RUN}
    ended_claims = {run for what, run in notes if what == CLAIM_ENDED}
    problems = [f"the model ran {count} times for the run {run}" for run, count in runs.items() if count > 1]
    if len(runs) > 1 + len(ended_claims):
        problems.append(f"the model ran for {len(runs)} runs, although only {len(ended_claims)} claims had ended")
    return problems
