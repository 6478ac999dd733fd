"""Firestore goes away and comes back."""

from contract import error_of, order
from projects import Project
from proxies import FirestoreProxy
from servers import FunctionServer


def test_firestore_away_is_an_honest_503_and_the_next_call_works(project: Project) -> None:
    """Away at the first call: 503 with Retry-After. Back: the next call succeeds. Away and back again: the same."""
    user_id = project.add_user(10)
    with (
        FirestoreProxy() as proxy,
        FunctionServer(
            "createGenerationRequest", project.id, FIRESTORE_EMULATOR_HOST=proxy.host, TIMEOUT_SECONDS="8"
        ) as server,
    ):
        for left in (9, 8):
            response = server.post(order(user_id))
            assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
            assert int(response.headers["Retry-After"]) > 0
            proxy.up()
            assert server.post(order(user_id)).status_code == 200
            assert project.balance(user_id) == left
            proxy.down()
        assert "unforeseen" not in server.log()
