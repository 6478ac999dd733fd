"""Settings as a real server reads them."""

import os

from store import Write, connect
from tests.support.projects import Project
from tests.support.servers import FunctionServer, wait_until


def test_a_function_with_bad_settings_does_not_start(common_project: Project) -> None:
    """It ends at once, and its log names every bad setting and what it may be."""
    settings = {"AI_FAILURE_RATE": "nan", "THREADS": "65", "REVOCATION_CHECK_SECONDS": "-1"}
    server = FunctionServer("createGenerationRequest", common_project.id, **settings)
    try:
        wait_until(lambda: server.process.poll() is not None, "the function ending")
        assert server.process.returncode != 0
        said = server.log()
    finally:
        server.kill()
    assert "AI_FAILURE_RATE must be a number from 0 to 1 in plain digits, not 'nan'" in said
    assert "THREADS must be an integer from 1 to 64 in plain digits, not '65'" in said
    assert "REVOCATION_CHECK_SECONDS must be an integer from 0 to 3600 in plain digits, not '-1'" in said


def test_the_database_is_the_one_that_is_set(common_project: Project) -> None:
    """Another one than (default) has users of its own."""
    user_id = common_project.add_user(5)
    second = connect(common_project.id, os.environ, database="second")
    second.commit([Write(f"users/{user_id}", {"credits": 77})], 10)
    with FunctionServer("getUserCredits", common_project.id, FIRESTORE_DATABASE="second") as server:
        assert server.get(userId=user_id).json()["currentCredits"] == 77
    assert common_project.balance(user_id) == 5
