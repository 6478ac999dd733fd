"""Webhooks on the real Firestore: from the commit of a grant to the receiver, the list, and sending again."""

from collections.abc import Iterator

import pytest
import requests
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook

from tests.support.contract import error_of
from tests.support.projects import Project
from tests.support.servers import EVERY_FUNCTION, FunctionServer

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
WITH_KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture(name="receiver")
def one_receiver() -> Iterator[HTTPServer]:
    """It fails once, then takes everything."""
    with HTTPServer() as server:
        server.expect_oneshot_request("/s3cret").respond_with_data("", status=500)
        server.expect_request("/s3cret").respond_with_data("")
        yield server


@pytest.fixture(name="shop")
def one_shop(project: Project, receiver: HTTPServer) -> Iterator[FunctionServer]:
    url = receiver.url_for("/s3cret")
    settings = {"COMPLETION_WEBHOOK_URL": url, "WEBHOOK_SECRET": SECRET}
    with FunctionServer(EVERY_FUNCTION, project.id, **settings) as server:
        yield server


def task(shop: FunctionServer, data: object) -> requests.Response:
    """Calls deliverWebhook as its queue does."""
    return shop.of("deliverWebhook").post({"data": data})


def test_a_grant_reaches_the_receiver(project: Project, shop: FunctionServer, receiver: HTTPServer) -> None:
    """Written in its commit, signed, tried again until it is taken, listed, and sent again on request."""
    grant = {"userId": "ann", "credits": 5, "reason": "Order 1"}
    granted = shop.of("grantCredits").post(grant, WITH_KEY).json()
    assert shop.of("grantCredits").post(grant, WITH_KEY).status_code == 200
    [snapshot] = project.client.collection("webhookDeliveries").stream()
    [entry] = project.entries("ann")
    stored = snapshot.to_dict() or {}
    assert stored["createdAt"] == stored["queuedAt"] == entry["timestamp"]
    assert stored["data"] == {**grant, "currentCredits": 5, "transactionId": granted["transactionId"]}

    first, second, third = (task(shop, {"deliveryId": snapshot.id}) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (500, 200, 200)
    assert [answer.status_code for _, answer in receiver.log] == [500, 200]
    bodies = [request.get_data() for request, _ in receiver.log]
    assert bodies[0] == bodies[1]
    for request, _ in receiver.log:
        assert Webhook(SECRET).verify(request.get_data(), dict(request.headers))["data"] == stored["data"]
        assert request.headers["webhook-id"] == snapshot.id

    [listed] = shop.of("listWebhookDeliveries").get(status="delivered").json()["deliveries"]
    assert (listed["id"], listed["attempts"], listed["lastAnswer"]) == (snapshot.id, 2, "200")
    assert shop.of("listWebhookDeliveries").get(status="pending").json() == {"deliveries": []}
    again = shop.of("resendWebhookDelivery").post({"deliveryId": snapshot.id})
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    assert task(shop, {"deliveryId": snapshot.id}).status_code == 200
    assert len(receiver.log) == 3
    assert receiver.log[2][0].headers["webhook-id"] == snapshot.id
    assert "s3cret" not in shop.log() + again.text
    assert SECRET not in shop.log()


def test_a_task_without_a_delivery_ends(shop: FunctionServer, receiver: HTTPServer) -> None:
    """One that is gone, and one that names none; only a POST with data is a task."""
    for data in ({"deliveryId": "gone"}, {"deliveryId": 5}, {}, None, "x"):
        assert task(shop, data).status_code == 200
    assert shop.of("deliverWebhook").get().status_code == 400
    assert receiver.log == []


def test_what_is_unknown_cannot_be_sent_again(shop: FunctionServer) -> None:
    """404, and nothing is stored."""
    answer = shop.of("resendWebhookDelivery").post({"deliveryId": "unknown"})
    assert (answer.status_code, error_of(answer)["message"]) == (404, "Webhook delivery not found.")


def test_without_an_address_a_grant_stores_nothing_more(project: Project) -> None:
    """Webhooks are off."""
    with FunctionServer(EVERY_FUNCTION, project.id) as server:
        grant = {"userId": "ann", "credits": 5, "reason": "Order 1"}
        assert server.of("grantCredits").post(grant, WITH_KEY).status_code == 200
    assert [*project.client.collection("webhookDeliveries").stream()] == []
