"""Races of cancel against finish: the model is done just when somebody cancels in another process."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from calls import Accepted, Call, Caller
from credits import keys
from errors import GenerationCanceled, GenerationEnded, GenerationFailed
from handlers import Services, cancel_generation_request, create_generation_request, generate_image
from images.model import ImageOrder, ProviderFailed
from schemas.fields import KEY_HEADER, PREFER_HEADER
from schemas.replies import GenerationReply
from schemas.requests import CancelOrder, GenerationOrder
from store import NO_DEADLINE, Deadline
from tests.support.builders import IMAGE_URL
from tests.support.contract import order

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
            told = [answer for side in sides if (answer := side.result())]
        return [*told, _told(self._buy) or "pending"]

    def _finish(self) -> str | None:
        told = _told(self._buy)
        if self.is_async:
            generate_image(self._request_id, self.buyer)
        return told

    def _cancel(self) -> str | None:
        self.finish.barrier.wait()
        return _told(self._send_cancel)

    def _buy(self) -> str | None:
        wish = {PREFER_HEADER: "respond-async"} if self.is_async else {}
        asked = GenerationOrder.model_validate({**order(self.user_id), KEY_HEADER: KEY, **wish})
        answer = create_generation_request(asked, self._call, self.buyer)
        if isinstance(answer, Accepted):
            return None
        assert isinstance(answer.reply, GenerationReply)
        assert answer.reply.image_url == IMAGE_URL
        return "completed"

    def _send_cancel(self) -> str:
        asked = CancelOrder.model_validate({"generationRequestId": self._request_id})
        cancel_generation_request(asked, self._call, self.rival)
        return "canceled"

    @property
    def _request_id(self) -> str:
        return keys.id_for_key(self.user_id, KEY)

    @property
    def _call(self) -> Call:
        return Call(Caller(self.user_id), NO_DEADLINE)


def _told(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except GenerationFailed:
        return "failed"
    except GenerationCanceled:
        return "canceled"
    except GenerationEnded as error:
        return str(error.details["outcome"])


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
        if balance_credits != OPENING_CREDITS - (stored == "completed"):
            self.problems.append(f"{stored} leaves {balance_credits} credits")

    def __str__(self) -> str:
        ended = ", ".join(f"{count} {ending}" for ending, count in sorted(self.endings.items()))
        return f"{self.endings.total()} races of cancel against finish: {ended}; {len(self.problems)} wrong"
