"""Jobs that send made-up requests, each in a process of its own, and judge the answers by functions/openapi.yaml."""

import copy
import itertools
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from config import MODELS
from tests.support.budget import FUZZ_PROCESSES, ODD_STRIDE
from tests.support.description import Answer, Description
from tests.support.odd_requests import Target, raw_requests, single_oddities
from tests.support.projects import SEED as SHIPPED
from tests.support.shop import Shop
from tests.support.wire import RawRequest, Wire

# Another seed makes other requests: HYPOTHESIS_FUZZ_SEED=2 ./run-tests.sh tests/emulator/api/test_openapi_fuzz.py
SEED = int(os.environ.get("HYPOTHESIS_FUZZ_SEED", "1"))
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# A valid request may name a report that is not there, or a key that was used.
ACCEPTED = {200, 202, 404, 422}
Operation = schemathesis.APIOperation[Any, Any, Any, Any]


@cache
def api() -> Description:
    return Description()


@dataclass
class Outcome:
    """The answers to some requests; `accepted` has the function, method and body of each 200 and 202."""

    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    accepted: list[tuple[str, str, bytes]] = field(default_factory=list)

    def judge(self, function: str, method: str, answer: Answer, request: object) -> None:
        self.statuses[answer.status] += 1
        if answer.status in (200, 202):
            self.accepted.append((function, method, answer.body))
        for problem in api().problems(function, method, answer):
            self.add(problem, answer, request)
        if answer.status >= 500:
            self.add("nothing should fail", answer, request)

    def add(self, problem: str, answer: Answer, request: object) -> None:
        self.problems.append(f"{problem}: {answer.status} {answer.body[:300]!r} to {request!r:.1000}")

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.statuses + other.statuses, self.problems + other.problems, self.accepted + other.accepted)


class Job(Protocol):
    """Requests to one server."""

    def run(self, number: int) -> Outcome:
        """Sends them; the number is the seed of the made-up ones."""


@dataclass(frozen=True)
class OddJob:
    """Requests with one odd thing each: every ODD_STRIDE-th of all odd things."""

    target: Target
    port: int

    def run(self, number: int) -> Outcome:
        outcome = Outcome()
        with Wire(self.port) as wire:
            for request in itertools.islice(single_oddities(self.target), number % ODD_STRIDE, None, ODD_STRIDE):
                outcome.judge(self.target.function, request.method, wire.send(request), request)
        return outcome


@dataclass(frozen=True)
class RawJob:
    """Requests that no client should send, byte by byte."""

    target: Target
    port: int
    tokens: Sequence[bytes]
    token_share: float
    count: int

    def run(self, number: int) -> Outcome:
        outcome = Outcome()
        with Wire(self.port) as wire:

            @made_up(number, self.count)
            @given(raw_requests(self.target, self.tokens, self.token_share))
            def send(request: RawRequest) -> None:
                outcome.judge(self.target.function, request.method, wire.send(request), request)

            send()
        return outcome


@dataclass(frozen=True)
class DescribedJob:
    """Requests that Schemathesis derives from the description of one operation: valid ones, or ones that break it."""

    shop: Shop
    label: str
    mode: GenerationMode
    url: str
    count: int

    def run(self, number: int) -> Outcome:
        outcome = Outcome()
        operation = operations(self.shop)[self.label]
        function = operation.path.removeprefix("/")
        with requests.Session() as session:

            @made_up(number, self.count)
            @given(operation.as_strategy(generation_mode=self.mode))
            def send(case: schemathesis.Case[Any]) -> None:
                response = case.call(base_url=self.url, session=session)
                headers = {name: values[0] for name, values in response.headers.items()}
                answer = Answer(response.status_code, headers, response.content)
                outcome.judge(function, case.method, answer, case)
                # Of a parameter that is sent several times the first counts, and may be valid.
                repeats = any(isinstance(value, list) for value in case.query.values())
                refused = [] if repeats else [checks.negative_data_rejection]
                try:
                    case.validate_response(response, checks=[*CONFORMANCE, *refused])
                except FailureGroup as failures:
                    outcome.add(str(failures), answer, case)
                if self.mode.is_positive and answer.status not in ACCEPTED:
                    outcome.add("a valid request was refused", answer, case)

            send()
        return outcome


def run(jobs: Sequence[Job]) -> Outcome:
    """All of them, side by side."""
    if FUZZ_PROCESSES == 1:
        return sum(map(_run, enumerate(jobs)), Outcome())
    # Not in threads, in which Python 3.11 may fail to parse code, as Hypothesis does:
    # https://github.com/python/cpython/issues/106905
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(FUZZ_PROCESSES, mp_context=spawn) as processes:
        return sum(processes.map(_run, enumerate(jobs)), Outcome())


def made_up(number: int, count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Settings for so many requests. Nothing is shrunk, since what was sent has changed balances."""
    its = settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    return lambda test: seed(SEED * 1_000 + number)(its(test))


@cache
def operations(shop: Shop) -> dict[str, Operation]:
    """The described operations, with users, options and ids that exist, so that valid requests find something."""
    document = copy.deepcopy(api().document)
    # The servers want no token, and made-up ones are refused.
    del document["security"], document["components"]["securitySchemes"]
    schemas = document["components"]["schemas"]
    options = {name: {"enum": [*SHIPPED[f"{name}s"]]} for name in ("style", "color", "size")}
    for name in ("GenerationOrder", "QuoteOrder"):
        schemas[name]["required"].append("userId")
        schemas[name]["properties"] |= {**options, "model": {"enum": [*MODELS]}, "userId": {"const": "rich"}}
    schemas["GrantOrder"]["properties"] |= {"userId": {"enum": ["rich", "newcomer"]}, "credits": {"enum": [1, 1_000]}}
    schemas["RevocationOrder"]["properties"] |= {"userId": {"const": "rich"}, "credits": {"enum": [1, 2]}}
    existing = {
        "/getGenerationRequest": {"generationRequestId": [shop.completed_id, shop.failed_id]},
        "/listGenerationRequests": {"userId": ["reader"], "pageToken": [shop.request_token]},
        "/simulatedImage": {"generationRequestId": [shop.completed_id], "token": [shop.completed_token]},
        "/getUserCredits": {"userId": ["reader"], "pageToken": [shop.entry_token]},
        "/listWebhookDeliveries": {"pageToken": [shop.delivery_token]},
        "/listWeeklyReports": {"pageToken": [shop.report_token]},
    }
    for path, its in existing.items():
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"] in its:
                values = {"type": "string", "enum": its[parameter["name"]]}
                parameter |= {"schema": values, "required": parameter["name"] != "pageToken"}
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return {result.ok().label: result.ok() for result in found if isinstance(result, Ok)}


def _run(numbered: tuple[int, Job]) -> Outcome:
    number, job = numbered
    return job.run(number)
