"""Fixtures of the tests that run against the real emulators."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from projects import Project
from servers import FunctionServer


@pytest.fixture
def project() -> Project:
    """A fresh project with the shipped catalog."""
    return Project.seeded()


@pytest.fixture(scope="module")
def shared_project() -> Project:
    """One project for a module's tests; each of them has users of its own."""
    return Project.seeded()


@pytest.fixture(scope="module")
def serve(shared_project: Project) -> Iterator[Callable[[str], FunctionServer]]:
    """Gives a function by name, on the shared project; each is started when it is first asked for."""
    with ExitStack() as stack:
        yield cache(lambda target: stack.enter_context(FunctionServer(target, shared_project.id)))


@pytest.fixture(scope="module")
def generate(serve: Callable[[str], FunctionServer]) -> FunctionServer:
    """createGenerationRequest whose model never fails, on the shared project."""
    return serve("createGenerationRequest")


@pytest.fixture(scope="module")
def credits_of(serve: Callable[[str], FunctionServer]) -> FunctionServer:
    """getUserCredits on the shared project."""
    return serve("getUserCredits")
