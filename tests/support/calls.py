"""Calls of a function, over HTTP or in this process."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from flask import Request, Response
from requests.adapters import BaseAdapter
from werkzeug.test import Client

from api.endpoint import Endpoint

TIMEOUT_SECONDS = 60
HERE = "http://in-this-process"


class Function:
    """One function at an address."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self.url = url
        self._session = session

    def call(self, method: str, **options: Any) -> requests.Response:
        """Any request, with the options that `requests` has."""
        send = requests.request if self._session is None else self._session.request
        return send(method, self.url, timeout=TIMEOUT_SECONDS, **options)

    def post(self, body: Any = None, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self.call("POST", json=body, headers=headers)

    def get(self, headers: Mapping[str, str] | None = None, /, **query: str) -> requests.Response:
        return self.call("GET", params=query, headers=headers)

    def pages(self, **query: str) -> Iterator[Any]:
        """Each page of a list, by following nextPageToken; the next is asked for once the caller is done with one."""
        while True:
            page = self.get(**query).json()
            yield page
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]


class InProcess:
    """Every function of an endpoint, called without a server: the same code from the request to the answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        self._session.mount(HERE, _Adapter(endpoint))

    def of(self, function: str) -> Function:
        return Function(f"{HERE}/{function}", self._session)


class _Adapter(BaseAdapter):
    """Gives what `requests` would send to the endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._client = Client(lambda environ, start: _answer(endpoint, Request(environ))(environ, start))

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = dict(request.headers)
        answer = self._client.open(request.path_url, method=request.method or "", headers=headers, data=body)
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers)
        response.encoding = "utf-8"
        response.raw = io.BytesIO(answer.data)
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        pass


def _answer(endpoint: Endpoint, request: Request) -> Response:
    return endpoint.serve(request, request.path.strip("/"))
