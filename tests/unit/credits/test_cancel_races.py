"""Cancel against finish, in two threads that stand for two processes."""

import random
import time
from collections.abc import Callable

import services
from tests.support.budget import RACES
from tests.support.builders import Backend, impatient
from tests.support.memory import Hook
from tests.support.races import OPENING_CREDITS, Finish, Race, Results

# Longer than a round trip in memory takes, so that either side comes first. Who cancels has more of them to make.
MAX_PAUSE_SECONDS, RIVAL_MAX_PAUSE_SECONDS = 0.0012, 0.0004


def test_a_cancellation_and_a_finish_have_one_outcome(record_property: Callable[[str, object], None]) -> None:
    """Synchronous and asynchronous, images and failures: all are told the same, and only an image costs a credit."""
    results, chance = Results(), random.Random(13)
    for number in range(RACES):
        _race(results, chance, is_async=number % 2 == 1, fails=number % 4 > 1)
    record_property("figure", f"in memory, {results}")
    assert not results.problems
    # Otherwise these were no races.
    assert min(results.endings[ending] for ending in ("canceled", "completed", "failed")) > RACES / 100


def _race(results: Results, chance: random.Random, *, is_async: bool, fails: bool) -> None:
    finish = Finish(fails)
    backend = Backend(finish.act)
    backend.add_user("ann", OPENING_CREDITS)
    rival_store = backend.store.beside()
    rival = services.build(backend.settings, connect=rival_store.connect, policy=impatient())

    backend.store.before_rpc = _dawdling(chance, MAX_PAUSE_SECONDS)
    rival_store.before_rpc = _dawdling(chance, RIVAL_MAX_PAUSE_SECONDS)
    race = Race(backend.services, rival, finish, "ann", is_async)
    told = race.run()
    [stored] = [data for path, data in backend.store.everything().items() if path.startswith("generationRequests/")]
    results.add(told, stored["status"], backend.balance(), backend.violations())


def _dawdling(chance: random.Random, max_seconds: float) -> Hook:
    return lambda name: time.sleep(chance.uniform(0, max_seconds))
