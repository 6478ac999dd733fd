"""Real answers against functions/openapi.yaml: at least one of each status of each function."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

import store
from config import FIRESTORE_HOST
from credits.keys import id_for_key
from credits.orders import Order
from tests.support.assembly import assembled, in_process
from tests.support.calls import Function
from tests.support.contract import order
from tests.support.description import FILE, Answer, Description, violations
from tests.support.projects import Project
from tests.support.servers import EVERY_FUNCTION, FunctionServer
from tests.support.shop import DELIVERY_ID, OLDER_REPORT_ID, Shop, delivery, reserved

API = Description()
GRANTING, REVOKING, RESENDING = "grantCredits", "revokeCredits", "resendWebhookDelivery"
CANCELING = "cancelGenerationRequest"
CREATE, PICTURE = "createGenerationRequest", "simulatedImage"
# None of their own documents can be broken.
UNBREAKABLE = ("getWeeklyReport", "listWeeklyReports", "getCatalog", "openapi", "findUser", "listWebhookDeliveries")
PUBLIC = ("getCatalog", PICTURE, "openapi")
# The real server, which wants no token; the others answer in this process.
OPEN = "open"
GRANT: Mapping[str, Any] = {"userId": "rich", "credits": 5, "reason": "test"}
JSON = {"Content-Type": "application/json"}
# Functions by name.
Functions = Callable[[str], Function]


@pytest.fixture(scope="session")
def shop(shared_project: Project) -> Shop:
    opened = Shop.opened(shared_project)
    for user_id, credits in {"poor": 0, "busy": 10, "broken": "10"}.items():
        shared_project.add_user(credits, user_id)
    services = assembled(shared_project)
    reserved(services.ledger, "busy", "pending")
    services.ledger.cancel(reserved(services.ledger, "reader", "canceled").request_id, "reader")
    services.grants.grant(Order.with_key("granted", "rich", GRANT["credits"], GRANT["reason"]))
    services.revocations.revoke(Order.with_key("revoked", "rich", GRANT["credits"], GRANT["reason"]))
    shared_project.put("generationRequests/broken", {"userId": "broken", "status": "odd"})
    shared_project.put("webhookDeliveries/broken", delivery(attempts="many"))
    return opened


@pytest.fixture(scope="session")
def servers(shared_project: Project, shop: Shop) -> Iterator[Mapping[str, Functions]]:
    nowhere = store.connect(shared_project.id, {**os.environ, FIRESTORE_HOST: "127.0.0.1:1"})
    with FunctionServer(EVERY_FUNCTION, shared_project.id) as started:
        assert started.of("getWeeklyReport").post().status_code == 200
        yield {
            OPEN: started.of,
            "private": in_process(shared_project, REQUIRE_AUTH="true").of,
            "failing": in_process(shared_project, AI_FAILURE_RATE="1").of,
            "strict": in_process(shared_project, MAX_PENDING_PER_USER="1").of,
            "away": in_process(shared_project, nowhere, TIMEOUT_SECONDS="2").of,
        }


@dataclass(frozen=True)
class Case:
    """A request, and the status and reason of its answer. `{names}` in its query are of the shop."""

    status: int
    method: str
    function: str
    query: str = ""
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    caller: str | None = None
    server: str = OPEN
    reason: str | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, (self.function, self.method, str(self.status), self.reason, self.query[:30])))


def purchase(status: int, user_id: str, key: str | None = None, **its: Any) -> Case:
    headers = {"Idempotency-Key": key} if key else {}
    return Case(status, "POST", CREATE, body=order(user_id), headers=headers, **its)


def adjust(function: str, status: int, key: str | None, reason: str | None = None, **changes: Any) -> Case:
    headers = {"Idempotency-Key": key} if key else {}
    return Case(status, "POST", function, body={**GRANT, **changes}, headers=headers, reason=reason)


VALID_QUERIES = {
    "getGenerationRequest": "generationRequestId={completed_id}",
    "listGenerationRequests": "userId=reader",
    "getUserCredits": "userId=reader",
    "findUser": "email=ann@example.com",
    PICTURE: "generationRequestId={completed_id}&token={completed_token}",
}
VALID_BODIES: Mapping[str, Mapping[str, Any]] = {
    CREATE: order("rich"),
    "quoteGeneration": order("rich"),
    GRANTING: GRANT,
    REVOKING: GRANT,
    RESENDING: {"deliveryId": DELIVERY_ID},
    CANCELING: {"generationRequestId": id_for_key("reader", "canceled")},
}
READ = {
    **VALID_QUERIES,
    **dict.fromkeys(("getWeeklyReport", "listWeeklyReports", "listWebhookDeliveries", "getCatalog", "openapi"), ""),
}
METHODS = [(function, method) for function, methods in API.methods.items() for method in sorted(methods)]
EVERYWHERE = [
    case
    for function, method in METHODS
    for case in (
        Case(400, method, function, query="x" * 3_000, reason="INVALID_REQUEST"),
        Case(400, method, function, headers={f"X-{number}": "x" * 6_000 for number in range(3)}),
        Case(400, method, function, query="x=1", reason="INVALID_REQUEST"),
        Case(405, "DELETE", function),
        Case(405, "OPTIONS", function, headers={"Origin": "https://elsewhere.example.com"}),
    )
]
HEADS = [
    *(Case(200, "HEAD", function, query) for function, query in READ.items()),
    *(Case(400, "HEAD", function, "x=1") for function in READ),
    *(Case(405, "HEAD", function) for function in VALID_BODIES),
]
PRIVATE = [
    case
    for function, method in METHODS
    if function not in PUBLIC
    for query, body in [(VALID_QUERIES.get(function, ""), VALID_BODIES.get(function))]
    for case in (
        Case(401, method, function, query, body, caller="forged"),
        Case(401, method, function, query, body, headers={"Authorization": "Basic eA=="}),
        Case(403, method, function, query, body, caller="user"),
    )
]
WITH_BODY = [
    case
    for function in VALID_BODIES
    for case in (
        Case(400, "POST", function, raw=b"{}", headers={"Content-Type": "text/plain"}, reason="INVALID_REQUEST"),
        Case(400, "POST", function, raw=b"{", headers=JSON, reason="INVALID_REQUEST"),
        Case(400, "POST", function, raw=b"[]", headers=JSON, reason="INVALID_REQUEST"),
        Case(400, "POST", function, body={"userId": "a/b", "model": 1, "credits": True}, reason="INVALID_REQUEST"),
        Case(400, "POST", function, body={**VALID_BODIES[function], "promt": "x"}, reason="INVALID_REQUEST"),
        Case(413, "POST", function, raw=b" " * 70_000, headers=JSON),
    )
]
OWN = [
    purchase(200, "rich"),
    purchase(200, "reader", key="completed"),
    Case(202, "POST", CREATE, body=order("rich"), headers={"Prefer": "respond-async"}),
    purchase(409, "reader", key="canceled", reason="GENERATION_CANCELED"),
    Case(200, "POST", CANCELING, body=VALID_BODIES[CANCELING]),
    Case(
        409,
        "POST",
        CANCELING,
        body={"generationRequestId": id_for_key("reader", "completed")},
        reason="GENERATION_ENDED",
    ),
    Case(404, "POST", CANCELING, body={"generationRequestId": "unknown"}),
    Case(500, "POST", CANCELING, body={"generationRequestId": "broken"}),
    purchase(400, "poor", reason="INSUFFICIENT_CREDITS"),
    purchase(401, "rich", server="private"),
    purchase(404, "nobody"),
    purchase(409, "busy", key="pending", reason="IDEMPOTENCY_IN_FLIGHT"),
    Case(
        422,
        "POST",
        CREATE,
        body=order("reader", prompt="another"),
        headers={"Idempotency-Key": "completed"},
        reason="IDEMPOTENCY_MISMATCH",
    ),
    purchase(429, "busy", server="strict", reason="TOO_MANY_PENDING"),
    purchase(500, "rich", server="failing", reason="GENERATION_FAILED"),
    purchase(500, "reader", key="failed", reason="GENERATION_FAILED"),
    purchase(500, "broken"),
    purchase(503, "rich", server="away"),
    Case(200, "POST", "quoteGeneration", body=order("poor")),
    Case(404, "POST", "quoteGeneration", body=order("nobody")),
    Case(500, "POST", "quoteGeneration", body=order("broken")),
    Case(200, "GET", "getGenerationRequest", "generationRequestId={completed_id}"),
    Case(200, "GET", "getGenerationRequest", "generationRequestId={failed_id}"),
    Case(404, "GET", "getGenerationRequest", "generationRequestId=unknown"),
    Case(500, "GET", "getGenerationRequest", "generationRequestId=broken"),
    Case(200, "GET", "listGenerationRequests", "userId=reader"),
    Case(200, "GET", "listGenerationRequests", "userId=reader&pageSize=1"),
    Case(200, "GET", "listGenerationRequests", "userId=busy&status=pending"),
    Case(200, "GET", "listGenerationRequests", "userId=reader&pageToken={request_token}"),
    Case(404, "GET", "listGenerationRequests", "userId=nobody"),
    Case(500, "GET", "listGenerationRequests", "userId=broken"),
    Case(200, "GET", "getUserCredits", "userId=rich"),
    Case(200, "GET", "getUserCredits", "userId=reader&pageSize=1"),
    Case(200, "GET", "getUserCredits", "userId=reader&pageToken={entry_token}"),
    Case(404, "GET", "getUserCredits", "userId=nobody"),
    Case(500, "GET", "getUserCredits", "userId=broken"),
    Case(200, "GET", "findUser", "email=ann@example.com"),
    Case(400, "GET", "findUser", "email=ann", reason="INVALID_REQUEST"),
    Case(404, "GET", "findUser", "email=nobody@example.com"),
    adjust(GRANTING, 200, "granted"),
    adjust(GRANTING, 200, "to-a-newcomer", userId="newcomer"),
    adjust(GRANTING, 400, None, "INVALID_REQUEST"),
    adjust(GRANTING, 422, "granted", "IDEMPOTENCY_MISMATCH", credits=6),
    adjust(GRANTING, 500, "to-a-broken-balance", userId="broken"),
    adjust(REVOKING, 200, "revoked"),
    adjust(REVOKING, 200, "from-nothing", userId="poor"),
    adjust(REVOKING, 400, None, "INVALID_REQUEST"),
    adjust(REVOKING, 404, "from-nobody", userId="nobody"),
    adjust(REVOKING, 422, "revoked", "IDEMPOTENCY_MISMATCH", credits=6),
    adjust(REVOKING, 500, "from-a-broken-balance", userId="broken"),
    Case(200, "GET", "getWeeklyReport"),
    Case(200, "GET", "getWeeklyReport", f"reportId={OLDER_REPORT_ID}"),
    Case(200, "GET", "getWeeklyReport", f"reportId={OLDER_REPORT_ID}&format=html"),
    Case(404, "GET", "getWeeklyReport", "reportId=report_1999-01-04"),
    Case(200, "POST", "getWeeklyReport"),
    Case(200, "POST", "getWeeklyReport", "format=html"),
    Case(200, "GET", PICTURE, VALID_QUERIES[PICTURE]),
    Case(304, "GET", PICTURE, VALID_QUERIES[PICTURE], headers={"If-None-Match": "*"}),
    Case(304, "HEAD", PICTURE, VALID_QUERIES[PICTURE], headers={"If-None-Match": "*"}),
    Case(404, "GET", PICTURE, "generationRequestId={completed_id}&token=guessed"),
    Case(404, "GET", PICTURE, "generationRequestId={failed_id}&token=guessed"),
    Case(500, "GET", PICTURE, "generationRequestId=broken&token=guessed"),
    Case(200, "GET", "listWeeklyReports", "pageSize=1"),
    Case(200, "GET", "listWebhookDeliveries"),
    Case(200, "GET", "listWebhookDeliveries", "status=pending&pageSize=1"),
    Case(400, "GET", "listWebhookDeliveries", "status=odd", reason="INVALID_REQUEST"),
    Case(200, "POST", RESENDING, body={"deliveryId": DELIVERY_ID}),
    Case(404, "POST", RESENDING, body={"deliveryId": "unknown"}),
    Case(500, "POST", RESENDING, body={"deliveryId": "broken"}),
    Case(200, "GET", "getCatalog"),
    Case(200, "GET", "openapi"),
]
CASES = [*OWN, *EVERYWHERE, *HEADS, *PRIVATE, *WITH_BODY]
# These take an outage, which has tests of its own, or a fault of ours.
RARE = {
    *((function, method, 503) for function, method in METHODS),
    *((function, method, 500) for function, method in METHODS if function in UNBREAKABLE),
}


def sent(servers: Mapping[str, Functions], shop: Shop, case: Case) -> requests.Response:
    ids = vars(shop)
    authorization = {"Authorization": f"Bearer {ids[f'{case.caller}_token']}"} if case.caller else {}
    return servers[case.server](case.function).call(
        case.method,
        params=case.query.format_map(ids),
        json=case.body,
        data=case.raw,
        headers={**authorization, **case.headers},
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_is_as_described(servers: Mapping[str, Functions], shop: Shop, case: Case) -> None:
    """Status, headers, content type and body are those that the description has for this method of this function."""
    response = sent(servers, shop, case)
    assert response.status_code == case.status, response.text
    answer = Answer(response.status_code, response.headers, response.content)
    assert API.problems(case.function, case.method, answer) == []
    if case.reason:
        assert response.json()["error"]["details"]["reason"] == case.reason


def test_every_described_answer_is_among_the_cases() -> None:
    """Each status that the description has for a method is brought about above, but for the rare ones."""
    described = {
        (path.removeprefix("/"), method.upper(), int(status))
        for path, operations in API.document["paths"].items()
        for method, operation in operations.items()
        for status in operation["responses"]
    }
    # A wrong method has no description of its own.
    refused = {(function, method, 405) for function, method in METHODS}
    assert described - {(case.function, case.method, case.status) for case in CASES} - refused <= RARE


def test_a_report_of_today_is_not_described_as_an_older_one(servers: Mapping[str, Functions]) -> None:
    """What is made now is read again in the exact form, not in the loose one of earlier versions."""
    report = servers[OPEN]("getWeeklyReport").get().json()
    schema = API.validator({"$ref": "#/components/schemas/WeeklyReport"})
    assert violations(schema, report) == []


def test_an_earlier_answer_says_so(servers: Mapping[str, Functions], shop: Shop) -> None:
    """Idempotent-Replayed comes with the second answer to a key, a failure's too, and not with the first."""
    for case in (purchase(200, "rich", key="twice"), adjust(GRANTING, 200, "twice"), adjust(REVOKING, 200, "twice")):
        first, second = sent(servers, shop, case), sent(servers, shop, case)
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert first.json() == second.json()
    assert sent(servers, shop, purchase(500, "reader", key="failed")).headers["Idempotent-Replayed"] == "true"


def test_the_description_is_served_to_everybody(servers: Mapping[str, Functions], shop: Shop) -> None:
    """The function openapi gives the very file, with any token or none."""
    for caller in (None, "forged"):
        response = sent(servers, shop, Case(200, "GET", "openapi", caller=caller))
        assert response.content == FILE.read_bytes()
        assert response.headers["Content-Type"].startswith("application/yaml")
