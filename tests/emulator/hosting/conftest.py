"""What the tests of the console share: one start of the emulators."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dev import hosting
from tests.support.browser import CHROMIUM, Visit
from tests.support.console import Console


@pytest.fixture(scope="package")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    if not all(library.is_in(hosting.VENDOR) for library in hosting.LIBRARIES):
        pytest.skip("the page's libraries are not here")
    with Console.started(tmp_path_factory.mktemp("console") / "data") as started:
        yield started


@pytest.fixture
def visit(console: Console) -> Iterator[Callable[..., Visit]]:
    """Opens windows of people who have not been here; each must have been free of errors and of other hosts."""
    with ExitStack() as stack:
        yield lambda **size: stack.enter_context(Visit.begun(console.browser, console.base, **size))


@pytest.fixture
def guest(visit: Callable[..., Visit]) -> Visit:
    return visit()
