"""Thousands of made-up requests: each answer is as described, and nothing is done but what the answers say."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemathesis import GenerationMode

from tests.support.assembly import audit_of
from tests.support.budget import DESCRIBED_REQUESTS, MIN_FUZZ_REQUESTS, RAW_REQUESTS, SIGNED_IN_REQUESTS
from tests.support.contract import order
from tests.support.fuzz import DescribedJob, Job, OddJob, Outcome, RawJob, api, operations, run
from tests.support.odd_requests import Target
from tests.support.projects import Project
from tests.support.servers import FunctionServer, Key, serving
from tests.support.shop import OLDER_REPORT_ID, Shop

OPEN, AUTH = "open", "auth"
WITHOUT_INPUT = ("GET /getCatalog", "GET /openapi")
# What a log must not hold.
FAULTS = "internal error|broken document|Traceback|Worker"
WITH_AUTH = ("createGenerationRequest", "getGenerationRequest", "getUserCredits", "grantCredits", "revokeCredits")
Documents = Mapping[str, Mapping[str, Any]]


def jobs(shop: Shop, servers: Mapping[Key, FunctionServer]) -> Iterator[Job]:
    for operation in operations(shop).values():
        server = servers[OPEN, operation.path.removeprefix("/")]
        # Each report reads all requests.
        count = DESCRIBED_REQUESTS // 6 if operation.label == "POST /getWeeklyReport" else DESCRIBED_REQUESTS
        # Nothing can vary in a request without parameters.
        for mode in GenerationMode if operation.label not in WITHOUT_INPUT else ():
            yield DescribedJob(shop, operation.label, mode, server.url, count)
    tokens = [token.encode() for token in (shop.user_token, shop.admin_token, shop.forged_token)]
    for target in targets(shop):
        count = RAW_REQUESTS // 3 if f"GET /{target.function}" in WITHOUT_INPUT else RAW_REQUESTS
        yield OddJob(target, servers[OPEN, target.function].port)
        yield RawJob(target, servers[OPEN, target.function].port, tokens, token_share=0.03, count=count)
        if target.function in WITH_AUTH:
            yield RawJob(target, servers[AUTH, target.function].port, tokens, token_share=0.9, count=SIGNED_IN_REQUESTS)


def targets(shop: Shop) -> list[Target]:
    page = {"userId": ["reader", "rich"], "pageSize": ["1", "20"]}
    return [
        Target("createGenerationRequest", "POST", body=order("rich")),
        Target("quoteGeneration", "POST", body=order("rich")),
        Target("getGenerationRequest", "GET", {"generationRequestId": [shop.completed_id, shop.failed_id, "unknown"]}),
        Target("listGenerationRequests", "GET", {**page, "status": ["completed"], "pageToken": [shop.request_token]}),
        Target("getUserCredits", "GET", {**page, "pageToken": [shop.entry_token]}),
        Target("findUser", "GET", {"email": ["ann@example.com", "nobody@example.com"]}),
        Target("grantCredits", "POST", body={"userId": "rich", "credits": 5, "reason": "test"}),
        Target("revokeCredits", "POST", body={"userId": "rich", "credits": 5, "reason": "test"}),
        Target("getWeeklyReport", "GET", {"reportId": [OLDER_REPORT_ID], "format": ["json", "html"]}),
        Target("listWeeklyReports", "GET", {"pageSize": ["1", "20"], "pageToken": [shop.report_token]}),
        Target(
            "listWebhookDeliveries",
            "GET",
            {"status": ["pending"], "pageSize": ["1", "20"], "pageToken": [shop.delivery_token]},
        ),
        Target("resendWebhookDelivery", "POST", body={"deliveryId": shop.delivery_id}),
        Target(
            "simulatedImage", "GET", {"generationRequestId": [shop.completed_id], "token": [shop.completed_token, "x"]}
        ),
        Target("getCatalog", "GET"),
        Target("openapi", "GET"),
    ]


def test_made_up_requests_get_described_answers_and_write_nothing_else(
    project: Project, record_property: Callable[[str, object], None]
) -> None:
    """No undescribed answer, no failure, no crash; what is stored afterwards is what the 200 answers say."""
    shop = Shop.opened(project)
    settings: dict[Key, dict[str, str]] = {(OPEN, function): {} for function in api().methods}
    settings |= {(AUTH, function): {"REQUIRE_AUTH": "true"} for function in WITH_AUTH}
    with serving(project.id, settings) as servers:
        before = stored(project)
        outcome = run([*jobs(shop, servers)])
        after = stored(project)
        logs = [server.log() for server in {*servers.values()}]
        assert all(server.process.poll() is None for server in servers.values())
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(outcome.statuses.items()))
    figure = f"fuzz: {outcome.statuses.total()} requests ({statuses}), {len(outcome.problems)} problems"
    record_property("figure", figure)
    print(figure)
    assert outcome.problems[:5] == []
    assert outcome.statuses.total() >= MIN_FUZZ_REQUESTS
    assert [line for log in logs for line in log.splitlines() if re.search(FAULTS, line)] == []
    assert_written(before, after, outcome)
    assert [problem for each in audit_of(project).of_all_users() for problem in each.violations] == []


def stored(project: Project) -> Documents:
    """Every document by path, read in one stream for each collection."""
    collections = [*project.client.collections(), project.client.collection_group("transactions")]
    return {its.reference.path: its.to_dict() or {} for collection in collections for its in collection.stream()}


def assert_written(before: Documents, after: Documents, outcome: Outcome) -> None:
    """What is new, and each change of a balance, is what the answers promise, and nothing else."""
    new = {f"reports/{report_id}" for report_id in reports_in(outcome)}
    balances = Counter(balances_in(before))
    # By id, since a replay changes nothing.
    purchases = {body["generationRequestId"]: body for body in bodies(outcome, "createGenerationRequest")}
    grants = {body["transactionId"]: body for body in bodies(outcome, "grantCredits")}
    revocations = {body["transactionId"]: body for body in bodies(outcome, "revokeCredits")}
    for request_id, body in purchases.items():
        request = after[f"generationRequests/{request_id}"]
        assert (request["status"], request["cost"]) == (body.get("status", "completed"), body["deductedCredits"])
        new |= {f"generationRequests/{request_id}", f"users/{request['userId']}/transactions/{request_id}-deduction"}
        balances[f"users/{request['userId']}"] -= body["deductedCredits"]
    for entry_id, body in grants.items():
        new |= {f"grants/{entry_id.removesuffix('-grant')}", f"users/{body['userId']}/transactions/{entry_id}"}
        balances[f"users/{body['userId']}"] += body["grantedCredits"]
    for entry_id, body in revocations.items():
        new |= {
            f"revocations/{entry_id.removesuffix('-revocation')}",
            f"users/{body['userId']}/transactions/{entry_id}",
        }
        balances[f"users/{body['userId']}"] -= body["revokedCredits"]
    # A delivery that is sent again becomes pending again.
    changing = ("inFlight/", "webhookDeliveries/")
    kept = {path: its for path, its in after.items() if not is_user(path) and not path.startswith(changing)}
    assert kept.keys() - before.keys() == new
    assert {path: its for path, its in kept.items() if path not in new} == {
        path: its for path, its in before.items() if path in kept
    }
    assert {path for path in after if path.startswith(changing[1])} == {
        path for path in before if path.startswith(changing[1])
    }
    assert balances_in(after) == balances
    waiting = {request_id for request_id, body in purchases.items() if body.get("status") == "pending"}
    assert {lease for path in after if path.startswith("inFlight/") for lease in after[path]["leases"]} == waiting


def bodies(outcome: Outcome, function: str) -> list[dict[str, Any]]:
    return [json.loads(body) for of, _, body in outcome.accepted if of == function]


def reports_in(outcome: Outcome) -> set[str]:
    """The reports that were made, as JSON or as a page."""
    made = [body for function, method, body in outcome.accepted if (function, method) == ("getWeeklyReport", "POST")]
    return {re.findall(rb"report_[0-9-]+T[0-9]+Z", body)[0].decode() for body in made}


def balances_in(documents: Documents) -> dict[str, int]:
    return {path: its["credits"] for path, its in documents.items() if is_user(path)}


def is_user(path: str) -> bool:
    return re.fullmatch("users/[^/]+", path) is not None
