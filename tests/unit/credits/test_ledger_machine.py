"""Any order of purchases, claims, failures, cancellations, races, releases, grants, revocations and deletions.

All of it against a plain model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from credits.accounts import open_account
from credits.audit import Audited
from credits.claims import Claims
from credits.documents import ACCOUNT_DELETED, GENERATION_REQUESTS, PROVIDER_FAILED, WORKER_DUE_AT
from credits.endings import ClaimLost
from credits.grants import Grants
from credits.ledger import Ledger
from credits.orders import Order
from credits.reservations import Canceled, Completed, Failed, Purchase, Reservation, Underway
from errors import (
    GenerationCanceled,
    GenerationEnded,
    GenerationFailed,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    UserNotFound,
)
from task_sweep import TaskSweep
from tests.support.budget import LEDGER_HISTORIES, LEDGER_STEPS
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, Books, counter_ids, failing, quiet
from tests.support.queues import ListQueue

USERS = ("ann", "bob", "cyd")
# These users have no account until their first call opens one.
NEWCOMERS = ("dan", "eve")
OPENING_CREDITS = 12
CLAIM_SECONDS = 240.0
UNCLAIMED_SECONDS = 30.0

everybody = st.sampled_from([*USERS, *NEWCOMERS])
order_keys = st.sampled_from(["g1", "g2", "g3"])
costs = st.sampled_from([1, 3, 4, OPENING_CREDITS + 1])
keys = st.none() | st.sampled_from(["k1", "k2", "k3"])
lost_answers = st.sampled_from([None, "reply lost", "request lost"])


@dataclass
class Bought:
    """What the model knows of a request."""

    user_id: str
    cost_credits: int
    balance_after_credits: int
    expires_at_seconds: float
    attempt_id: str
    # None for a synchronous purchase.
    claimable_at_seconds: float | None = None
    # Since when it waits for a worker, as the sweep sees it.
    worker_due_at_seconds: float = 0.0
    claims: list[str] = field(default_factory=list)
    status: str = "pending"
    # It failed, and its account was deleted.
    is_lost: bool = False

    @property
    def is_async(self) -> bool:
        """Whether a worker makes its image."""
        return self.claimable_at_seconds is not None

    @property
    def run_id(self) -> str:
        """Who may end it."""
        return self.claims[-1] if self.claims else self.attempt_id


class LedgerMachine(RuleBasedStateMachine):
    """Two ledgers (two processes on one store), compared with a model made of dictionaries."""

    reservations = Bundle("reservations")
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        for user_id in USERS:
            self.books.add_user(user_id, OPENING_CREDITS)
        self.rival = self.books.rival()
        self.rival_store = self.books.store.beside()
        self.claims = Claims(self.books.store, counter_ids("claim"), CLAIM_SECONDS)
        self.rival_claims = Claims(self.rival_store, counter_ids("rival-claim"), CLAIM_SECONDS)
        self.rival_grants = Grants(self.rival_store, counter_ids("rival-grant"))
        self.balances = dict.fromkeys(USERS, OPENING_CREDITS)
        self.requests: dict[str, Bought] = {}
        self.by_key: dict[tuple[str, str], tuple[str, int]] = {}
        self.elapsed_seconds = 0.0
        self.orders: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.deleted: set[str] = set()
        self.stored: Mapping[str, Mapping[str, Any]] = {}

    @rule(
        target=reservations,
        user_id=everybody,
        cost=costs,
        key=keys,
        lost=lost_answers,
        is_sold=st.booleans(),
        is_async=st.booleans(),
    )
    def reserve(
        self, user_id: str, cost: int, key: str | None, lost: str | None, is_sold: bool, is_async: bool
    ) -> object:
        """Buys, retries or replays. The option may be withdrawn, and the first commit's answer may be lost."""
        self._lose_one_commit(lost)
        return self._reserve(self.books.ledger, user_id, cost, key, is_async, is_sold)

    @rule(
        target=reservations,
        user_id=everybody,
        cost=costs,
        rival_cost=costs,
        key=keys,
        is_async=st.booleans(),
        rival_is_async=st.booleans(),
    )
    def race(
        self, user_id: str, cost: int, rival_cost: int, key: str | None, is_async: bool, rival_is_async: bool
    ) -> object:
        """Another process buys for the same user with the same key, between this process's read and write."""
        won: list[object] = []

        def interfere(name: str) -> None:
            if name == "Commit" and not won:
                won.append(self._reserve(self.rival, user_id, rival_cost, key, rival_is_async))

        self.books.store.before_rpc, self.books.store.after_rpc = interfere, quiet
        mine = self._reserve(self.books.ledger, user_id, cost, key, is_async)
        self.books.store.before_rpc = quiet
        return multiple(*(item for item in (mine, *won) if isinstance(item, Reservation)))

    @rule(target=reservations, reservation=reservations, lost=lost_answers)
    def claim(self, reservation: object, lost: str | None) -> object:
        """A task arrives, maybe late, maybe twice."""
        if not isinstance(reservation, Reservation):
            return multiple()
        self._lose_one_commit(lost)
        return self._claim(self.claims, reservation) or multiple()

    @rule(target=reservations, reservation=reservations)
    def claim_race(self, reservation: object) -> object:
        """Another worker gets the same task, between this worker's read and write: at most one of them may run."""
        if not isinstance(reservation, Reservation):
            return multiple()
        won: list[Reservation | None] = []

        def interfere(name: str) -> None:
            if name == "Commit" and not won:
                won.append(self._claim(self.rival_claims, reservation))

        self.books.store.before_rpc, self.books.store.after_rpc = interfere, quiet
        mine = self._claim(self.claims, reservation)
        self.books.store.before_rpc = quiet
        return multiple(*(claimed for claimed in (mine, *won) if claimed))

    @rule(reservation=reservations, lost=lost_answers)
    def complete(self, reservation: object, lost: str | None) -> None:
        """The model finished, maybe late, maybe twice, maybe without its claim."""
        if not isinstance(reservation, Reservation):
            return
        self._lose_one_commit(lost)
        self._complete(reservation)

    @rule(reservation=reservations, lost=lost_answers)
    def fail(self, reservation: object, lost: str | None) -> None:
        """The model failed, maybe late, maybe twice, maybe without its claim."""
        if not isinstance(reservation, Reservation):
            return
        self._lose_one_commit(lost)
        bought = self.requests[reservation.request_id]
        try:
            self.books.ledger.refund(reservation, PROVIDER_FAILED)
        except UserNotFound:
            assert bought.is_lost or (bought.status == "pending" and bought.user_id not in self.balances)
        except GenerationCanceled:
            assert bought.status == "canceled"
        except ClaimLost:
            assert bought.status == "completed" or bought.run_id != reservation.run_id
            return
        else:
            assert bought.status == "failed" or bought.run_id == reservation.run_id
        self._ended(bought, "failed")

    @rule(reservation=reservations, lost=lost_answers)
    def cancel(self, reservation: object, lost: str | None) -> None:
        """The buyer changes their mind, maybe late, maybe twice."""
        if isinstance(reservation, Reservation):
            self._lose_one_commit(lost)
            self._cancel(self.books.ledger, reservation)

    @rule(target=reservations, reservation=reservations, rival=st.sampled_from(["releases", "cancels", "claims"]))
    def finish_while(self, reservation: object, rival: str) -> object:
        """Another process's commit comes between this process's decision and write."""
        if not isinstance(reservation, Reservation):
            return multiple()
        self._expire({"releases": LEASE_SECONDS + 1, "cancels": 1.0, "claims": CLAIM_SECONDS + 1}[rival])
        claimed: list[Reservation | None] = []

        def interfere(name: str) -> None:
            if name != "Commit" or claimed:
                return
            claimed.append(self._claim(self.rival_claims, reservation) if rival == "claims" else None)
            if rival == "cancels":
                self._cancel(self.rival, reservation)
            elif rival == "releases":
                self.rival.release_expired()
                self._release_in_model()

        self.books.store.before_rpc, self.books.store.after_rpc = interfere, quiet
        self._complete(reservation)
        self.books.store.before_rpc = quiet
        return multiple(*(each for each in claimed if each))

    @rule()
    def ask_again(self) -> None:
        """The sweep asks for workers for exactly those that none has had for a while."""
        queue = ListQueue()
        self.books.store.before_rpc = self.books.store.after_rpc = quiet
        unclaimed, pause = timedelta(seconds=UNCLAIMED_SECONDS), timedelta(seconds=CLAIM_SECONDS)
        TaskSweep(self.books.store, queue, GENERATION_REQUESTS, WORKER_DUE_AT, "requestId", unclaimed, pause).run()
        late = self.elapsed_seconds - UNCLAIMED_SECONDS
        waiting = [
            request_id
            for request_id, bought in self.requests.items()
            if bought.status == "pending" and bought.worker_due_at_seconds < late and bought.is_async
        ]
        assert sorted(task["requestId"] for task in queue.tasks) == sorted(waiting)
        for request_id in waiting:
            self.requests[request_id].worker_due_at_seconds = self.elapsed_seconds + CLAIM_SECONDS

    # No sum of these equals a lease, a claim or the time that a task may take, even with the microseconds that the
    # store adds to keep an order.
    @rule(seconds=st.sampled_from([1.0, CLAIM_SECONDS + 1, LEASE_SECONDS * 2 / 3, LEASE_SECONDS + 1]))
    def expire(self, seconds: float) -> None:
        """Time passes."""
        self._expire(seconds)

    @rule(lost=lost_answers)
    def release(self, lost: str | None) -> None:
        """The sweep refunds exactly what is overdue."""
        self._lose_one_commit(lost)
        overdue = self._release_in_model()
        # A refund whose answer was lost is stored, but its sweep does not count it.
        assert self.books.ledger.release_expired().refunded in (overdue, max(0, overdue - 1))

    @rule(user_id=everybody, credits=st.sampled_from([1, 9]), key=order_keys, lost=lost_answers)
    def grant(self, user_id: str, credits: int, key: str, lost: str | None) -> None:
        """An admin gives credits, once for each key; a deleted account starts again."""
        self._lose_one_commit(lost)
        made = self.orders.get(("grant", user_id, key))
        try:
            granted = self.books.grants.grant(Order.with_key(key, user_id, credits, "because", "root"))
        except IdempotencyMismatch:
            assert made is not None
            assert made[0] != credits
            return
        if made is None:
            self.balances[user_id] = self.balances.get(user_id, 0) + credits
            self.orders["grant", user_id, key] = (credits, self.balances[user_id])
        assert (credits, granted.balance_after_credits) == self.orders["grant", user_id, key]
        assert granted.is_replay == (made is not None)

    @rule(user_id=everybody, credits=st.sampled_from([1, 9]), key=order_keys, lost=lost_answers)
    def revoke(self, user_id: str, credits: int, key: str, lost: str | None) -> None:
        """An admin takes credits back, once for each key, and never more than the balance."""
        self._lose_one_commit(lost)
        made = self.orders.get(("revocation", user_id, key))
        try:
            revoked = self.books.revocations.revoke(Order.with_key(key, user_id, credits, "because", "root"))
        except IdempotencyMismatch:
            assert made is not None
            assert made[0] != credits
            return
        except UserNotFound:
            assert made is None
            assert user_id not in self.balances
            return
        if made is None:
            self.balances[user_id] -= revoked.taken_credits
            self.orders["revocation", user_id, key] = (credits, self.balances[user_id])
        assert (credits, revoked.balance_after_credits) == self.orders["revocation", user_id, key]
        assert revoked.taken_credits + revoked.missing_credits == credits
        assert revoked.balance_after_credits == 0 or not revoked.missing_credits
        assert revoked.is_replay == (made is not None)

    @rule(user_id=everybody)
    def delete_account(self, user_id: str) -> None:
        """Somebody with the console, or an extension, removes the balance; the ledger stays."""
        if user_id in self.balances:
            self.books.store.remove(f"users/{user_id}")
            del self.balances[user_id]
            self.deleted.add(user_id)

    @rule(user_id=st.sampled_from(NEWCOMERS), lost=lost_answers)
    def first_call(self, user_id: str, lost: str | None) -> None:
        """A new user's account is opened, by two processes one after the other; a deleted one stays deleted."""
        self._lose_one_commit(lost)
        try:
            open_account(self.books.store, user_id, OPENING_CREDITS)
            open_account(self.rival_store, user_id, OPENING_CREDITS)
        except UserNotFound:
            assert user_id in self.deleted
            assert user_id not in self.balances
        else:
            self.balances.setdefault(user_id, OPENING_CREDITS)

    @invariant()
    def ledger_is_consistent(self) -> None:
        """Balances equal the model's, and the audit finds only requests that wait for the sweep.

        It is of those users of whom a document changed; all are audited when the history ends.
        """
        type(self).steps += 1
        before, self.stored = self.stored, self.books.store.everything()
        stored = self.stored
        for user_id in (*USERS, *NEWCOMERS):
            assert stored.get(f"users/{user_id}", {}).get("credits") == self.balances.get(user_id)
        changed = [path for path in before.keys() | stored.keys() if before.get(path) != stored.get(path)]
        owners = {(stored.get(path) or before[path]).get("userId", path.split("/")[1]) for path in changed}
        self._check(map(self.books.audit.of_user, owners))
        for request_id, bought in self.requests.items():
            assert stored[f"generationRequests/{request_id}"]["status"] == bought.status

    def teardown(self) -> None:
        """Audits everybody once more."""
        self._check(self.books.audit.of_all_users())

    def _check(self, audited: Iterable[Audited]) -> None:
        problems = [problem for each in audited for problem in each.violations]
        assert all("is pending past its lease" in problem for problem in problems), problems

    def _reserve(
        self, ledger: Ledger, user_id: str, cost: int, key: str | None, is_async: bool, is_sold: bool = True
    ) -> object:
        purchase = Purchase(user_id, "model-a", "anime", "neon", f"size-{cost}", None)
        price = cost if is_sold else InvalidRequest("withdrawn")
        # No account is opened twice, so users who have one can be asked to open it too.
        used_key = key or self.books.new_key()
        try:
            signup_credits = OPENING_CREDITS if user_id in NEWCOMERS else 0
            outcome = ledger.reserve(purchase, used_key, price, signup_credits, is_async=is_async)
        except InvalidRequest:
            assert not is_sold
            assert (user_id, used_key) not in self.by_key
        except UserNotFound:
            assert user_id in self.deleted
            assert user_id not in self.balances
        except InsufficientCredits:
            assert self.balances.get(user_id, OPENING_CREDITS) < cost
        except IdempotencyMismatch:
            assert self.by_key[user_id, used_key][1] != cost
        except IdempotencyInFlight:
            assert not is_async
            assert self._earlier(user_id, used_key).status == "pending"
        else:
            if isinstance(outcome, Reservation):
                return self._bought(outcome, user_id, used_key, cost, is_async)
            earlier = self._earlier(user_id, used_key)
            if isinstance(outcome, Failed):
                assert earlier.status == "failed"
                assert earlier.is_lost == (outcome.failure == ACCOUNT_DELETED)
            if isinstance(outcome, Canceled):
                assert earlier.status == "canceled"
            if isinstance(outcome, Underway):
                assert is_async
                assert (earlier.status, earlier.balance_after_credits) == ("pending", outcome.balance_after_credits)
            if isinstance(outcome, Completed):
                assert (earlier.status, earlier.balance_after_credits) == ("completed", outcome.balance_after_credits)
        return multiple()

    def _bought(self, reservation: Reservation, user_id: str, key: str, cost: int, is_async: bool) -> Reservation:
        assert reservation.request_id not in self.requests
        balance = self.balances.get(user_id, OPENING_CREDITS) - cost
        assert reservation.balance_after_credits == balance
        self.balances[user_id] = balance
        expires_at_seconds = self.elapsed_seconds + LEASE_SECONDS
        claimable_at_seconds = self.elapsed_seconds if is_async else None
        self.requests[reservation.request_id] = Bought(
            user_id,
            cost,
            balance,
            expires_at_seconds,
            reservation.run_id,
            claimable_at_seconds,
            self.elapsed_seconds,
        )
        self.requests[reservation.request_id].worker_due_at_seconds = self.elapsed_seconds
        self.by_key[user_id, key] = (reservation.request_id, cost)
        return reservation

    def _claim(self, claims: Claims, reservation: Reservation) -> Reservation | None:
        """Whoever had it before: a pending order is claimed if its last claim, but not its lease, has ended."""
        claim = claims.claim(reservation.request_id)
        bought = self.requests[reservation.request_id]
        is_free = (
            bought.status == "pending"
            and bought.claimable_at_seconds is not None
            and bought.claimable_at_seconds <= self.elapsed_seconds < bought.expires_at_seconds
        )
        assert (claim is not None) == is_free
        if claim is None:
            return None
        bought.claims.append(claim.reservation.run_id)
        bought.claimable_at_seconds = bought.worker_due_at_seconds = self.elapsed_seconds + CLAIM_SECONDS
        return claim.reservation

    def _complete(self, reservation: Reservation) -> None:
        """Gives the image only if this run may end the request now."""
        refused: type[Exception] | None = None
        try:
            self.books.ledger.complete(reservation, IMAGE_URL)
        except (GenerationFailed, GenerationCanceled, ClaimLost, UserNotFound) as error:
            refused = type(error)
        bought = self.requests[reservation.request_id]
        ends: dict[str, type[Exception]] = {
            "failed": UserNotFound if bought.is_lost else GenerationFailed,
            "canceled": GenerationCanceled,
        }
        expected = ends.get(bought.status)
        if expected is None and bought.run_id != reservation.run_id:
            expected = ClaimLost
        assert refused is expected
        if refused is None:
            bought.status = "completed"

    def _cancel(self, ledger: Ledger, reservation: Reservation) -> None:
        bought = self.requests[reservation.request_id]
        try:
            ledger.cancel(reservation.request_id, bought.user_id)
        except GenerationEnded:
            assert bought.status in ("completed", "failed")
        except UserNotFound:
            assert bought.status == "pending"
            assert bought.user_id not in self.balances
        else:
            assert bought.status in ("pending", "canceled")
            self._ended(bought, "canceled")

    def _earlier(self, user_id: str, key: str) -> Bought:
        return self.requests[self.by_key[user_id, key][0]]

    def _expire(self, seconds: float) -> None:
        self.books.clock.forward(seconds)
        self.elapsed_seconds += seconds

    def _release_in_model(self) -> int:
        overdue = [
            bought
            for bought in self.requests.values()
            if bought.status == "pending" and bought.expires_at_seconds < self.elapsed_seconds
        ]
        for bought in overdue:
            self._ended(bought, "failed")
        return sum(bought.user_id in self.balances for bought in overdue)

    def _ended(self, bought: Bought, status: str) -> None:
        """Without an image."""
        if bought.status == "pending":
            bought.status = status
            # A deleted account loses its credits.
            bought.is_lost = bought.user_id not in self.balances
            if not bought.is_lost:
                self.balances[bought.user_id] += bought.cost_credits

    def _lose_one_commit(self, how: str | None) -> None:
        """The next commit is applied without an answer, or never arrives."""
        lose = failing(StatusCode.UNAVAILABLE)
        self.books.store.after_rpc = lose if how == "reply lost" else quiet
        self.books.store.before_rpc = lose if how == "request lost" else quiet


def test_no_history_breaks_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """After every step of random histories, the stored ledger equals the model and passes the audit."""
    LedgerMachine.steps = 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=LEDGER_HISTORIES,
            stateful_step_count=LEDGER_STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print(f"\nledger machine: {LEDGER_HISTORIES} histories, {LedgerMachine.steps} steps, 0 broken")
