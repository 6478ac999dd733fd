"""Any order of purchases, failures, replays, races, expiries, releases and grants against a plain model."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from google.api_core import exceptions
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from budget import HISTORIES
from builders import LEASE_SECONDS, Books, counter_ids, sleepless
from errors import GenerationFailed, IdempotencyInFlight, IdempotencyMismatch, InsufficientCredits
from ledger import GenerationRequest, Grant, Ledger, Reservation, Settled

STEPS = 30
USERS = ("ann", "bob", "cyd")
OPENING_CREDITS = 12
NEWCOMER = "dan"

users = st.sampled_from(USERS)
costs = st.sampled_from([1, 3, 4])
keys = st.none() | st.sampled_from(["k1", "k2", "k3"])
lost_answers = st.sampled_from([None, "reply lost", "request lost"])


@dataclass
class Bought:
    """What the model knows of a request."""

    user_id: str
    cost_credits: int
    expires_at_seconds: float
    status: str = "pending"


class LedgerMachine(RuleBasedStateMachine):
    """The ledger, twice (two processes on one database), beside a model that is nothing but dictionaries."""

    reservations = Bundle("reservations")
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(policy=sleepless())
        for user_id in USERS:
            self.books.add_user(user_id, OPENING_CREDITS)
        self.rival_db = self.books.db.beside()
        new_id = counter_ids()
        self.rival = Ledger(self.rival_db, self.books.clock, lambda: f"rival-{new_id()}", LEASE_SECONDS, 1_000)
        self.balances = dict.fromkeys(USERS, OPENING_CREDITS)
        self.requests: dict[str, Bought] = {}
        self.by_key: dict[tuple[str, str], tuple[str, int]] = {}
        self.elapsed_seconds = 0.0
        self.grants: dict[str, tuple[str, int, int]] = {}

    @rule(target=reservations, user_id=users, cost=costs, key=keys, lost=lost_answers)
    def reserve(self, user_id: str, cost: int, key: str | None, lost: str | None) -> object:
        """Buys, retries or replays; the first commit's answer may be lost."""
        self._lose_one_commit(lost)
        return self._reserve(self.books.ledger, user_id, cost, key)

    @rule(target=reservations, user_id=users, cost=costs, rival_cost=costs, key=keys)
    def race(self, user_id: str, cost: int, rival_cost: int, key: str | None) -> object:
        """Another process buys for the same user, with the same key, between this one's read and write."""
        won: list[object] = []

        def interfere(name: str) -> None:
            if name == "Commit" and not won:
                won.append(self._reserve(self.rival, user_id, rival_cost, key))

        self.books.db.before_rpc = interfere
        mine = self._reserve(self.books.ledger, user_id, cost, key)
        self.books.db.before_rpc = _nothing
        return multiple(*(item for item in (mine, *won) if isinstance(item, Reservation)))

    @rule(reservation=reservations, lost=lost_answers)
    def complete(self, reservation: Reservation | None, lost: str | None) -> None:
        """The model finished, maybe late, maybe twice."""
        if not isinstance(reservation, Reservation):
            return
        bought = self.requests[reservation.request_id]
        self._lose_one_commit(lost)
        if bought.status == "failed":
            with pytest.raises(GenerationFailed):
                self.books.ledger.complete(reservation, "https://image")
        else:
            self.books.ledger.complete(reservation, "https://image")
            bought.status = "completed"

    @rule(reservation=reservations, lost=lost_answers)
    def fail(self, reservation: Reservation | None, lost: str | None) -> None:
        """The model failed, maybe late, maybe twice."""
        if not isinstance(reservation, Reservation):
            return
        self._lose_one_commit(lost)
        self.books.ledger.refund(reservation)
        self._refunded(self.requests[reservation.request_id])

    @rule(reservation=reservations)
    def finish_while_released(self, reservation: Reservation | None) -> None:
        """The sweep of another process commits between this one's decision and its write."""
        if not isinstance(reservation, Reservation):
            return
        self._expire(LEASE_SECONDS + 1)
        swept: list[bool] = []

        def interfere(name: str) -> None:
            if name == "Commit" and not swept:
                swept.append(True)
                self.rival.release_expired()

        self.books.db.before_rpc = interfere
        bought = self.requests[reservation.request_id]
        was_pending = bought.status == "pending"
        try:
            self.books.ledger.complete(reservation, "https://image")
        except GenerationFailed:
            assert was_pending or bought.status == "failed"
        else:
            assert bought.status == "completed"
        self.books.db.before_rpc = _nothing
        if swept:
            self._release_in_model()

    # No sum of these is a lease, to the microseconds by which the ledger keeps an order.
    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS * 2 / 3, LEASE_SECONDS + 1]))
    def expire(self, seconds: float) -> None:
        """Time passes."""
        self._expire(seconds)

    @rule(lost=lost_answers)
    def release(self, lost: str | None) -> None:
        """The sweep refunds exactly what is overdue."""
        self._lose_one_commit(lost)
        overdue = self._release_in_model()
        # A refund whose answer was lost stands all the same, but its sweep cannot claim it.
        assert self.books.ledger.release_expired().refunded in (overdue, max(0, overdue - 1))

    @rule(user_id=users, credits=st.sampled_from([1, 9]), key=st.sampled_from(["g1", "g2", "g3"]), lost=lost_answers)
    def grant(self, user_id: str, credits: int, key: str, lost: str | None) -> None:
        """An admin gives credits, once a key; the first commit's answer may be lost."""
        self._lose_one_commit(lost)
        made = self.grants.get(key)
        try:
            granted = self.books.ledger.grant(Grant(user_id, credits, "because", "root"), key)
        except IdempotencyMismatch:
            assert made is not None
            assert made[:2] != (user_id, credits)
            return
        if made is None:
            self.balances[user_id] += credits
            self.grants[key] = (user_id, credits, self.balances[user_id])
        assert (user_id, credits, granted.balance_after_credits) == self.grants[key]
        assert granted.is_replay == (made is not None)

    @rule(lost=lost_answers)
    def first_call(self, lost: str | None) -> None:
        """A new user's account is opened, by two processes at once."""
        self._lose_one_commit(lost)
        self.books.ledger.open_account(NEWCOMER, OPENING_CREDITS)
        self.rival.open_account(NEWCOMER, OPENING_CREDITS)
        assert self.books.balance(NEWCOMER) == OPENING_CREDITS

    @invariant()
    def books_hold(self) -> None:
        """Balances are the model's, and the audit finds nothing but what waits for the sweep."""
        type(self).steps += 1
        for user_id in USERS:
            assert self.books.balance(user_id) == self.balances[user_id]
        problems = [problem for _, found in self.books.audits.of_everybody() for problem in found]
        assert all("is pending past its lease" in problem for problem in problems), problems
        stored = self.books.db.everything()
        for request_id, bought in self.requests.items():
            assert stored[f"generationRequests/{request_id}"]["status"] == bought.status

    def _reserve(self, ledger: Ledger, user_id: str, cost: int, key: str | None) -> object:
        request = GenerationRequest(user_id, "model-a", "anime", "neon", f"size-{cost}", None, cost)
        try:
            outcome = ledger.reserve(request, key)
        except InsufficientCredits:
            assert self.balances[user_id] < cost
        except IdempotencyMismatch:
            assert self._earlier(user_id, key)[1] != cost
        except IdempotencyInFlight:
            assert self.requests[self._earlier(user_id, key)[0]].status == "pending"
        else:
            if isinstance(outcome, Settled):
                earlier = self.requests[self._earlier(user_id, key)[0]]
                assert earlier.status == ("failed" if outcome.image_url is None else "completed")
                return multiple()
            assert outcome.request_id not in self.requests
            self.balances[user_id] -= cost
            self.requests[outcome.request_id] = Bought(user_id, cost, self.elapsed_seconds + LEASE_SECONDS)
            if key is not None:
                self.by_key[user_id, key] = (outcome.request_id, cost)
            return outcome
        return multiple()

    def _earlier(self, user_id: str, key: str | None) -> tuple[str, int]:
        assert key is not None
        return self.by_key[user_id, key]

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
            self._refunded(bought)
        return len(overdue)

    def _refunded(self, bought: Bought) -> None:
        if bought.status == "pending":
            bought.status = "failed"
            self.balances[bought.user_id] += bought.cost_credits

    def _lose_one_commit(self, how: str | None) -> None:
        """The next commit is applied without an answer, or never arrives."""
        left = [how] if how else []

        def lose(name: str) -> None:
            if name == "Commit" and left:
                left.pop()
                raise exceptions.ServiceUnavailable("lost")

        self.books.db.after_rpc = lose if how == "reply lost" else _nothing
        self.books.db.before_rpc = lose if how == "request lost" else _nothing


def _nothing(name: str) -> None:
    pass


def test_no_history_breaks_the_books(record_property: Callable[[str, object], None]) -> None:
    """Histories of up to 30 steps each."""
    LedgerMachine.steps = 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=HISTORIES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    record_property("figure", f"ledger machine: {HISTORIES} histories, {LedgerMachine.steps} steps, 0 broken")
