"""Firestore as an app's client SDK reaches it: over REST with an ID token, so that the security rules decide."""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from firebase_admin import auth

from tests.support.identities import app_of, bearer, signed_in

PASSWORD = "a-password"
Json = dict[str, Any]
_SESSION = requests.Session()


@dataclass(frozen=True)
class RulesClient:
    """What one person's app can ask of Firestore; without a token, nobody's app."""

    project_id: str
    user_id: str | None = None
    token: str | None = None

    @classmethod
    def of_new_account(cls, project_id: str, user_id: str, claims: Json | None = None) -> "RulesClient":
        """Creates an account with a password and signs in with it; the project is the Auth emulator's own."""
        email = f"{uuid.uuid4().hex}@example.com"
        auth.create_user(uid=user_id, email=email, password=PASSWORD, app=app_of(project_id))
        auth.set_custom_user_claims(user_id, claims, app=app_of(project_id))
        return cls._signed_in(project_id, "signInWithPassword", email=email, password=PASSWORD)

    @classmethod
    def of_new_guest(cls, project_id: str) -> "RulesClient":
        """Signs in anonymously: a user like others, with a uid."""
        return cls._signed_in(project_id, "signUp")

    @classmethod
    def _signed_in(cls, project_id: str, method: str, **body: str) -> "RulesClient":
        answer = signed_in(method, **body)
        return cls(project_id, answer["localId"], answer["idToken"])

    def claims(self) -> Json:
        """What the token says."""
        return dict(auth.verify_id_token(self.token, app=app_of(self.project_id)))

    def get(self, path: str) -> requests.Response:
        return self._call("GET", f"/{path}")

    def get_all(self, *paths: str) -> requests.Response:
        return self._call("POST", ":batchGet", {"documents": [self.name(path) for path in paths]})

    def list(self, collection: str) -> requests.Response:
        """The documents of a collection without a query, as the SDKs for servers do it."""
        return self._call("GET", f"/{collection}")

    def query(self, parent: str, query: Json) -> requests.Response:
        """Runs a StructuredQuery below a document, or below the root if `parent` is empty."""
        return self._call("POST", f"{_below(parent)}:runQuery", {"structuredQuery": query})

    def count(self, parent: str, query: Json) -> requests.Response:
        asked = {"structuredQuery": query, "aggregations": [{"alias": "count", "count": {}}]}
        return self._call("POST", f"{_below(parent)}:runAggregationQuery", {"structuredAggregationQuery": asked})

    def commit(self, *writes: Json) -> requests.Response:
        return self._call("POST", ":commit", {"writes": writes})

    def name(self, path: str) -> str:
        return f"projects/{self.project_id}/databases/(default)/documents/{path}"

    def setting(self, path: str, fields: Mapping[str, Any]) -> Json:
        """The write that creates or replaces a document."""
        return {"update": {"name": self.name(path), "fields": {name: value(it) for name, it in fields.items()}}}

    def _call(self, method: str, target: str, body: Json | None = None) -> requests.Response:
        url = f"http://{os.environ['FIRESTORE_EMULATOR_HOST']}/v1/{self.name('').rstrip('/')}{quote(target)}"
        headers = bearer(self.token) if self.token else {}
        return _SESSION.request(method, url, json=body, headers=headers, timeout=30)


def select(collection: str | None, where: Json | None = None, descendants: bool = False, **more: Any) -> Json:
    """A StructuredQuery; of every collection if none is named."""
    source: Json = {"allDescendants": descendants, **({"collectionId": collection} if collection else {})}
    return {"from": [source], **({"where": where} if where else {}), **more}


def field_is(field: str, wanted: Any, operator: str = "EQUAL") -> Json:
    return {"fieldFilter": {"field": {"fieldPath": field}, "op": operator, "value": value(wanted)}}


def is_null(field: str) -> Json:
    return {"unaryFilter": {"field": {"fieldPath": field}, "op": "IS_NULL"}}


def both(*filters: Json) -> Json:
    return {"compositeFilter": {"op": "AND", "filters": filters}}


def either(*filters: Json) -> Json:
    return {"compositeFilter": {"op": "OR", "filters": filters}}


def value(it: Any) -> Json:
    """A text, an integer or a list of them, as Firestore's JSON has it."""
    if isinstance(it, str):
        return {"stringValue": it}
    if isinstance(it, Sequence):
        return {"arrayValue": {"values": [value(item) for item in it]}}
    assert type(it) is int, it
    return {"integerValue": str(it)}


def _below(parent: str) -> str:
    return f"/{parent}" if parent else ""
