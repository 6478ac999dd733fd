"""Whether a run of the emulators is ready: a function has read the catalog for a user whom this run signed up."""

import json
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from dev import Problem

ANSWER_SECONDS = 30.0
IDENTITY_TOOLKIT = "identitytoolkit.googleapis.com/v1/accounts"
# An order that no catalog can fulfil, so the error lists what this one offers.
ORDER = {"model": "?", "style": "?", "color": "?", "size": "?"}
OFFERED = "Available styles: "


class Readiness:
    """Asks for the price of an image that does not exist, as a user who does.

    That needs everything: the functions and Auth agree on the project, and the catalog is in its Firestore. `last` is
    the last answer of a function, for the error message after a time-out.
    """

    def __init__(self, functions_url: str, auth_url: str, *, require_app_check: bool) -> None:
        self._functions_url = functions_url
        self._accounts_url = f"{auth_url}/{IDENTITY_TOOLKIT}"
        self._require_app_check = require_app_check
        self._user: Mapping[str, str] | None = None
        self.last = ""

    def reached(self) -> bool:
        """Whether it is ready.

        Raises:
            Problem: a function answers, and waiting will not make the answer better.
        """
        self._user = self._user or _post(f"{self._accounts_url}:signUp?key=any", {"returnSecureToken": True})[1]
        if self._user is None:
            return False
        order = {"userId": self._user["localId"], **ORDER}
        status, answer = _post(f"{self._functions_url}/quoteGeneration", order, self._user["idToken"])
        if answer is None:
            return False
        message = str(answer.get("error", {}).get("message"))
        self.last = f"quoteGeneration answered {status}: {message}"
        # Nobody can have an App Check token here, so this is as far as a call gets.
        if (status == 400 and OFFERED in message) or (status == 401 and self._require_app_check):
            _post(f"{self._accounts_url}:delete?key=any", {"idToken": self._user["idToken"]})
            return True
        if status != 503:
            raise Problem(f"The functions cannot sell anything. {self.last}")
        return False


def _post(url: str, body: object, token: str | None = None) -> tuple[int, Any]:
    """The status and the JSON of the answer; None if it is not JSON, as the emulator's own errors are not."""
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    with suppress(OSError, HTTPException, ValueError):
        connection = HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
        connection.request("POST", f"{parts.path}?{parts.query}", json.dumps(body), headers)
        response = connection.getresponse()
        if response.headers.get_content_type() == "application/json":
            return response.status, json.loads(response.read())
    return 0, None
