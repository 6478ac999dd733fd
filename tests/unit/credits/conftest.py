"""What most tests of credits begin with."""

import pytest

from tests.support.builders import Books


@pytest.fixture
def books() -> Books:
    """A user, ann, with 10 credits."""
    books = Books()
    books.add_user()
    return books
