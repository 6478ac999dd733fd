"""Cancel against finish on the real Firestore emulator, each side with a connection of its own."""

import itertools
import os
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from handlers import Services
from images.model import ImageModel
from task_queue import NoQueue
from tests.support.assembly import assembled, audit_of
from tests.support.budget import EMULATOR_RACES
from tests.support.builders import FakeModel
from tests.support.projects import Project
from tests.support.races import OPENING_CREDITS, Finish, Race, Results
from tests.support.rpcs import hooked_connection

# Of the buyer, before each round trip: who cancels has more of them to make.
MAX_PAUSES_SECONDS = (0.0, 0.002, 0.005, 0.01)


def test_a_cancellation_and_a_finish_have_one_outcome(
    project: Project, record_property: Callable[[str, object], None]
) -> None:
    """Synchronous and asynchronous, images and failures: all are told the same, and only an image costs a credit."""
    results, chance = Results(), random.Random(13)
    # Until each ending was met, since otherwise these would be no races.
    for number in itertools.count():
        if number >= EMULATOR_RACES and len(results.endings) == 3:
            break
        assert number < 10 * EMULATOR_RACES, results
        finish = Finish(fails=number % 4 > 1)
        max_seconds = chance.choice(MAX_PAUSES_SECONDS)

        def dawdle(name: str, send: Callable[[], Any], max_seconds: float = max_seconds) -> Any:
            time.sleep(chance.uniform(0, max_seconds))
            return send()

        models = {"model-a": FakeModel(finish.act)}
        buyer = _process(project, models, dawdle)
        rival = _process(project, models, lambda name, send: send())
        race = Race(buyer, rival, finish, project.add_user(OPENING_CREDITS), is_async=number % 2 == 1)
        told = race.run()
        [stored] = project.requests_of(race.user_id)
        violations = audit_of(project).of_user(race.user_id).violations
        results.add(told, stored["status"], project.balance(race.user_id), violations)
    record_property("figure", f"on the emulator, {results}")
    assert not results.problems


def _process(project: Project, models: Mapping[str, ImageModel], around: Callable[..., Any]) -> Services:
    connection = hooked_connection(project.id, os.environ["FIRESTORE_EMULATOR_HOST"], around)
    return assembled(project, connection, models=models, queue=lambda function: NoQueue())
