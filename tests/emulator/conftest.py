"""Fixtures of the tests that run against the real emulators."""

from collections.abc import Iterator

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
def generate(shared_project: Project) -> Iterator[FunctionServer]:
    """createGenerationRequest whose model never fails, on the shared project."""
    with FunctionServer("createGenerationRequest", shared_project.id) as server:
        yield server


@pytest.fixture(scope="module")
def credits_of(shared_project: Project) -> Iterator[FunctionServer]:
    """getUserCredits on the shared project."""
    with FunctionServer("getUserCredits", shared_project.id) as server:
        yield server
