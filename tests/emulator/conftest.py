"""Fixtures of the tests that run against the real emulators."""

from collections.abc import Iterator

import pytest

from tests.support.calls import Function
from tests.support.projects import Project
from tests.support.servers import EVERY_FUNCTION, FunctionServer


@pytest.fixture
def project() -> Project:
    """A fresh project with the shipped catalog."""
    return Project.seeded()


@pytest.fixture(scope="session")
def shared_project() -> Project:
    """The project of test_openapi_answers.py, whose users have fixed ids."""
    return Project.seeded()


@pytest.fixture(scope="session")
def common_project() -> Project:
    """The project of `server`; each test has users of its own."""
    return Project.seeded()


@pytest.fixture(scope="session")
def server(common_project: Project) -> Iterator[FunctionServer]:
    """Every function on one real server, without tokens; its model never fails."""
    with FunctionServer(EVERY_FUNCTION, common_project.id) as started:
        yield started


@pytest.fixture(scope="session")
def create(server: FunctionServer) -> Function:
    """createGenerationRequest."""
    return server.of("createGenerationRequest")


@pytest.fixture(scope="session")
def credits_of(server: FunctionServer) -> Function:
    """getUserCredits."""
    return server.of("getUserCredits")
