"""What the operators' scripts share."""

import pytest
from grpc import StatusCode

from errors import Unavailable
from project_client import exit_on_store_error
from store import StoreError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("The database is not available. Try again."), "The database is not available. Try again."),
        (StoreError(StatusCode.NOT_FOUND, "Create the database."), "Create the database."),
        (StoreError(StatusCode.PERMISSION_DENIED, None), "StatusCode.PERMISSION_DENIED"),
    ],
)
def test_what_firestore_refuses_is_exit_on_store_error(error: Exception, said: str) -> None:
    """The script ends with what to do, and without a traceback."""
    with pytest.raises(SystemExit) as caught, exit_on_store_error():
        raise error
    assert caught.value.code == said
