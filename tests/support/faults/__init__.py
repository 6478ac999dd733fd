"""Breaks one round trip of a purchase in every way, then lets client, queue, lease and sweep do their work.

A case is a scenario (what the process was doing), a round trip of it (by number; to Firestore, to the task queue, or to
the bucket of pictures), and a way to break it. Afterwards the ledger must be consistent, what the client was told must
be true, at most one image may have been paid for and none that was canceled, no claim may have run the model twice, and
the bucket must hold the picture of each completed request and no other.
"""

from tests.support.faults.breaking import Breaker, Fault, Way
from tests.support.faults.checks import problems_after, problems_when_settled
from tests.support.faults.scenarios import SCENARIOS, act, prepared, round_trips

__all__ = [
    "SCENARIOS",
    "Breaker",
    "Fault",
    "Way",
    "act",
    "prepared",
    "problems_after",
    "problems_when_settled",
    "round_trips",
]
