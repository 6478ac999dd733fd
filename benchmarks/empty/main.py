"""An HTTP function that does nothing, as the floor of every other one."""

from firebase_functions import https_fn
from flask import Request, Response


@https_fn.on_request()
def empty(request: Request) -> Response:
    """Reads the body and answers."""
    request.get_data()
    return Response("{}\n", mimetype="application/json")
