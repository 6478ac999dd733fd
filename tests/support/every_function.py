"""A source for functions-framework: every function of main.py on one server, by the first part of the path."""

from flask import Request, Response

import main


def every_function(request: Request) -> Response:
    """Passes the request on, as the Functions emulator does."""
    name = request.path.strip("/").partition("/")[0]
    answer: Response = getattr(main, name)(request)
    return answer
