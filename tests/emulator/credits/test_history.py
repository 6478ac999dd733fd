"""Reading a balance, its ledger and a user's requests, page by page, over HTTP."""

from typing import Any

import pytest

from tests.support.assembly import audit_of, in_process
from tests.support.budget import LONG_HISTORY
from tests.support.calls import Function
from tests.support.contract import ORDER, error_of, fields_at_fault, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer


@pytest.fixture(scope="session")
def one(server: FunctionServer) -> Function:
    return server.of("getGenerationRequest")


@pytest.fixture(scope="session")
def many(server: FunctionServer) -> Function:
    return server.of("listGenerationRequests")


@pytest.fixture(scope="session")
def failing(common_project: Project) -> Function:
    """createGenerationRequest whose model always fails."""
    return in_process(common_project, AI_FAILURE_RATE="1").of("createGenerationRequest")


def test_balance_and_ledger_come_newest_first(create: Function, credits_of: Function, common_project: Project) -> None:
    """After two purchases the balance and both deductions are there, the newer one first."""
    user_id = common_project.add_user(10)
    bought = [create.post(order(user_id, size=size)).json() for size in ("512x512", "1024x1024")]
    response = credits_of.get(userId=user_id)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"currentCredits", "transactions"}
    assert body["currentCredits"] == 6
    newest, oldest, opening = body["transactions"]
    assert (opening["type"], opening["balanceAfter"], opening["generationRequestId"]) == ("grant", 10, None)
    assert set(newest) == {"id", "type", "credits", "balanceAfter", "generationRequestId", "timestamp"}
    assert [entry["balanceAfter"] for entry in (newest, oldest)] == [6, 9]
    assert [(entry["type"], entry["credits"]) for entry in (newest, oldest)] == [("deduction", 3), ("deduction", 1)]
    assert [entry["generationRequestId"] for entry in (oldest, newest)] == [
        answer["generationRequestId"] for answer in bought
    ]
    assert newest["timestamp"] > oldest["timestamp"]


def test_pages_give_each_entry_once_while_new_ones_arrive(
    create: Function, credits_of: Function, common_project: Project
) -> None:
    """Following nextPageToken gives every entry once and in order, also when the ledger grows meanwhile."""
    user_id = common_project.add_user(50)
    bought = [create.post(order(user_id)).json()["generationRequestId"] for _ in range(7)]
    seen: list[str] = []
    for page in credits_of.pages(userId=user_id, pageSize="3"):
        seen += [entry["generationRequestId"] for entry in page["transactions"]]
        assert create.post(order(user_id)).status_code == 200
    # The first of all is the grant that opened the account.
    assert seen == [*bought[::-1], None]


def test_a_long_ledger_is_paged_while_it_grows(project: Project) -> None:
    """Each entry once and newest first, the balances in a chain, though a new one comes with each page."""
    user_id = "ann"
    project.put(f"users/{user_id}", {"credits": 100})
    added = project.add_history(user_id, LONG_HISTORY, final_credits=100)
    api = in_process(project)
    seen: list[dict[str, Any]] = []
    for page in api.of("getUserCredits").pages(userId=user_id, pageSize="200"):
        seen += page["transactions"]
        assert api.of("createGenerationRequest").post(order(user_id)).status_code == 200
    assert [entry["id"] for entry in seen] == added[::-1]
    assert [entry["balanceAfter"] for entry in seen] == list(range(100, 100 + LONG_HISTORY))


def test_a_user_without_history_has_an_empty_one(credits_of: Function, common_project: Project) -> None:
    """An answer without an entry is the balance and an empty list."""
    user_id = common_project.add_user(0)
    assert credits_of.get(userId=user_id).json() == {"currentCredits": 0, "transactions": []}


BAD_QUERIES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "userId", "userId parameter is required."),
    ({"userId": ""}, "userId", "userId parameter is required."),
    ({"userId": "a/b"}, "userId", "Invalid userId"),
    ({"userId": "testUser1/transactions/x"}, "userId", "Invalid userId"),
    ({"userId": "__x__"}, "userId", "Invalid userId"),
    ({"userId": "a\x01"}, "userId", "Invalid userId"),
    ({"userId": "known", "pageSize": "0"}, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "201"}, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "ten"}, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "9" * 1000}, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "9" * 3000}, "query", "The query must not exceed 2048 bytes."),
    ({"userId": "known", "pageToken": "!"}, "pageToken", "pageToken is not one"),
    ({"userId": "known", "pageToken": "YS9i"}, "pageToken", "pageToken is not one"),
    ({"userId": "known", "pageToken": "bm9uZQ=="}, "pageToken", "pageToken is not one"),
]


@pytest.mark.parametrize(("query", "field", "words"), BAD_QUERIES, ids=range(len(BAD_QUERIES)))
def test_a_bad_query_is_refused(
    credits_of: Function, common_project: Project, query: dict[str, str], field: str, words: str
) -> None:
    """A bad parameter is named."""
    common_project.put("users/known", {"credits": 1})
    error = error_of(credits_of.get(**query))
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert fields_at_fault(error) == [field]
    assert words in error["message"]


def test_the_history_of_an_unknown_user_is_not_found(credits_of: Function, many: Function) -> None:
    """Ledger and list of a user without a document: 404, `User not found.`"""
    for read in (credits_of, many):
        error = error_of(read.get(userId="nobody"))
        assert (error["code"], error["status"], error["message"]) == (404, "NOT_FOUND", "User not found.")


def test_a_completed_request_is_shown_with_its_image(create: Function, one: Function, common_project: Project) -> None:
    """What was asked, what it cost, how it ended, and when."""
    user_id = common_project.add_user(10)
    bought = create.post(order(user_id, prompt="a lighthouse")).json()
    response = one.get(generationRequestId=bought["generationRequestId"])
    assert response.status_code == 200, response.text
    shown = response.json()
    assert shown.pop("createdAt") <= shown.pop("updatedAt")
    assert shown == {
        **ORDER,
        "generationRequestId": bought["generationRequestId"],
        "userId": user_id,
        "prompt": "a lighthouse",
        "cost": 1,
        "status": "completed",
        "imageUrl": bought["imageUrl"],
    }


def test_a_failed_request_is_shown_with_its_reason(failing: Function, one: Function, common_project: Project) -> None:
    """No image, but why there is none."""
    user_id = common_project.add_user(10)
    request_id = error_of(failing.post(order(user_id)))["details"]["generationRequestId"]
    shown = one.get(generationRequestId=request_id).json()
    assert (shown["status"], shown["failure"], "imageUrl" in shown) == ("failed", "PROVIDER_FAILED", False)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({}, 400, "generationRequestId parameter is required."),
        ({"generationRequestId": ""}, 400, "generationRequestId parameter is required."),
        ({"generationRequestId": "a/b"}, 400, "generationRequestId is not one"),
        ({"generationRequestId": "x" * 129}, 400, "generationRequestId is not one"),
        ({"generationRequestId": "unknown"}, 404, "Generation request not found."),
    ],
)
def test_a_request_that_does_not_exist_is_refused(
    one: Function, query: dict[str, str], status: int, words: str
) -> None:
    """A bad id is named; an unknown one is not found."""
    error = error_of(one.get(**query))
    assert error["code"] == status
    assert words in error["message"]


def test_requests_are_listed_newest_first_by_status_and_page_by_page(
    create: Function, failing: Function, many: Function, common_project: Project
) -> None:
    """Every request once and in order while new ones arrive; the filter keeps one status; nobody else's are there."""
    user_id, other = common_project.add_user(50), common_project.add_user(50)
    bought = [create.post(order(user_id)).json()["generationRequestId"] for _ in range(5)]
    others = create.post(order(other)).json()["generationRequestId"]
    failed = error_of(failing.post(order(user_id)))["details"]["generationRequestId"]
    seen: list[str] = []
    for page in many.pages(userId=user_id, pageSize="2"):
        seen += [request["generationRequestId"] for request in page["generationRequests"]]
        assert create.post(order(user_id)).status_code == 200
    assert seen == [failed, *reversed(bought)]
    [only] = many.get(userId=user_id, status="failed").json()["generationRequests"]
    assert (only["generationRequestId"], only["status"]) == (failed, "failed")
    assert many.get(userId=user_id, status="pending").json() == {"generationRequests": []}
    first_of_other = many.get(userId=other, pageSize="1").json()["generationRequests"]
    assert [request["generationRequestId"] for request in first_of_other] == [others]


def test_another_users_page_token_is_refused(create: Function, many: Function, common_project: Project) -> None:
    """The token of one user's list is not good for another's; an unknown status is named."""
    ann, bob = common_project.add_user(50), common_project.add_user(50)
    for _ in range(2):
        create.post(order(ann))
    token = many.get(userId=ann, pageSize="1").json()["nextPageToken"]
    assert error_of(many.get(userId=bob, pageToken=token))["code"] == 400
    assert fields_at_fault(error_of(many.get(userId=ann, status="done"))) == ["status"]


def test_a_broken_document_does_not_hide_the_others(
    server: FunctionServer, create: Function, credits_of: Function, many: Function, common_project: Project
) -> None:
    """A hand-made entry or request is left out of its list, named in the log and found by the audit; pages go on."""
    user_id = common_project.add_user(10)
    bought = [create.post(order(user_id)).json()["generationRequestId"] for _ in range(3)]
    entry, request = f"users/{user_id}/transactions/{bought[1]}-deduction", f"generationRequests/{bought[1]}"
    common_project.change(entry, credits="1")
    common_project.change(request, cost=-1)
    kept = [bought[2], bought[0]]
    for reader, name, page_size in ((credits_of, "transactions", "50"), (many, "generationRequests", "1")):
        pages = [*reader.pages(userId=user_id, pageSize=page_size)]
        shown = [shown["generationRequestId"] for page in pages for shown in page[name]]
        assert [request_id for request_id in shown if request_id] == kept
    lines = [line for line in server.log().splitlines() if "broken document" in line]
    violations = audit_of(common_project).of_user(user_id).violations
    for path in (entry, request):
        assert any(f'"{path}"' in line for line in lines)
        assert any(path in violation for violation in violations)


def test_an_entry_without_a_time_is_left_out_and_found(credits_of: Function, common_project: Project) -> None:
    """Firestore leaves what has no time out of the order; the audit names it."""
    user_id = common_project.add_user(0)
    path = f"users/{user_id}/transactions/hand-made"
    common_project.put(path, {"type": "grant", "credits": 5, "balanceAfter": 10})
    assert credits_of.get(userId=user_id).json() == {"currentCredits": 0, "transactions": []}
    assert f"{path}: timestamp is not a time" in audit_of(common_project).of_user(user_id).violations
