"""Races of cancel against finish: the model is done just when somebody cancels in another process."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from credits import keys
from credits.documents import COMPLETED, PENDING
from errors import GenerationEnded
from handlers import Services, generate_image
from images.model import ImageOrder, ProviderFailed
from store import Deadline
from tests.support.builders import IMAGE_URL
from tests.support.purchases import Refused, Said, Sold, Told, buy_image, cancel_purchase, order_image, told

KEY = "race"
OPENING_CREDITS = 10
MEETING_SECONDS = 30.0


@dataclass
class Finish:
    """A model that is done, or has failed, when the one who cancels is ready too."""

    fails: bool
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=MEETING_SECONDS))

    def act(self, order: ImageOrder, deadline: Deadline) -> str:
        self.barrier.wait()
        if self.fails:
            raise ProviderFailed("The race says so.")
        return IMAGE_URL


@dataclass(frozen=True)
class Race:
    """One request, in two processes: one buys and makes the image, the other cancels."""

    buyer: Services
    rival: Services
    finish: Finish
    user_id: str
    is_async: bool

    def run(self) -> list[str]:
        """What was told of the request's end: by the purchase, by the cancellation, and to a client that asks again."""
        with ThreadPoolExecutor(2) as threads:
            sides = [threads.submit(self._finish), threads.submit(self._cancel)]
            endings = [ending for side in sides if (ending := side.result())]
        return [*endings, self._buy() or PENDING]

    def _finish(self) -> str | None:
        ending = self._buy()
        if self.is_async:
            generate_image(keys.id_for_key(self.user_id, KEY), self.buyer)
        return ending

    def _cancel(self) -> str | None:
        self.finish.barrier.wait()
        return _ending(told(lambda: cancel_purchase(self.rival, self.user_id, KEY)))

    def _buy(self) -> str | None:
        send = order_image if self.is_async else buy_image
        return _ending(told(lambda: send(self.buyer, self.user_id, KEY)))


def _ending(answer: Told) -> str | None:
    """The status in which the request has ended, as it was told; None if it has not ended."""
    match answer:
        case Sold(image_url=image_url):
            assert image_url == IMAGE_URL
            return COMPLETED
        case Said.ACCEPTED:
            return None
        case Said.FAILED | Said.CANCELED:
            return str(answer.value)
        case Refused(error=GenerationEnded() as error):
            return str(error.details["outcome"])
        case _:
            raise AssertionError(f"nobody should be told {answer}")


@dataclass
class Results:
    """How many races ended how, and what was wrong."""

    endings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, told: list[str], stored: str, balance_credits: int, violations: list[str]) -> None:
        """One race: everybody must be told what is stored, and only an image costs a credit."""
        self.endings[stored] += 1
        self.problems += violations
        if set(told) != {stored}:
            self.problems.append(f"{stored} is stored, and {', '.join(told)} was told")
        if balance_credits != OPENING_CREDITS - (stored == COMPLETED):
            self.problems.append(f"{stored} leaves {balance_credits} credits")

    def __str__(self) -> str:
        ended = ", ".join(f"{count} {ending}" for ending, count in sorted(self.endings.items()))
        return f"{self.endings.total()} races of cancel against finish: {ended}; {len(self.problems)} wrong"
