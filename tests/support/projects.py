"""A fresh Firestore project in the emulator, seeded as a newcomer's is, and everything in it at once."""

import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import requests
from google.cloud import firestore

import store
from store import Connection, Store
from tests.support.builders import OPENING_REASON, add_user

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"

HISTORY_BEGAN_AT = datetime(2026, 1, 5, tzinfo=UTC)
MAX_WRITES = 500
SEED = json.loads((SCRIPTS / "seed.json").read_text(encoding="utf-8"))
OWNER = {"Authorization": "Bearer owner"}


@dataclass(frozen=True)
class Project:
    """One project of the Firestore emulator; no other test sees it."""

    id: str

    @classmethod
    def empty(cls) -> "Project":
        """A new project with nothing in it."""
        assert "FIRESTORE_EMULATOR_HOST" in os.environ, "these tests need the emulator: ./run-tests.sh"
        project = cls(f"demo-{uuid.uuid4().hex[:12]}")
        # The emulator fills every project with the data that it imported.
        requests.delete(project._url("emulator/v1", "/documents"), timeout=30).raise_for_status()
        return project

    @classmethod
    def seeded(cls) -> "Project":
        """A new project with the shipped catalog and no user."""
        project = cls.empty()
        project.load_catalog()
        return project

    @property
    def client(self) -> firestore.Client:
        """Google's own client: what the tests read with is not what they test."""
        return _client(self.id, os.environ["FIRESTORE_EMULATOR_HOST"])

    @property
    def connection(self) -> Connection:
        """The one connection that a test process has to this project."""
        return _connection(self.id, os.environ["FIRESTORE_EMULATOR_HOST"])

    def load_catalog(self) -> None:
        batch = self.client.batch()
        for collection in ("styles", "colors"):
            for name in SEED[collection]:
                batch.set(self.client.document(f"{collection}/{name}"), {})
        for name, credits in SEED["sizes"].items():
            batch.set(self.client.document(f"sizes/{name}"), {"credits": credits})
        batch.commit()

    def add_user(self, credits: Any = 100, user_id: str | None = None) -> str:
        """Creates a user with this balance: a good one by a grant, a bad one as somebody with the console would."""
        user_id = user_id or f"user-{uuid.uuid4().hex[:8]}"
        add_user(Store(lambda: self.connection), user_id, credits)
        return user_id

    def expire_leases(self) -> None:
        """Lets the leases of all pending requests have ended an hour ago."""
        ended_at = datetime.now(UTC) - timedelta(hours=1)
        pending = self.client.collection("generationRequests").where(
            filter=firestore.FieldFilter("status", "==", "pending")
        )
        for snapshot in pending.stream():
            if "leaseExpiresAt" not in (snapshot.to_dict() or {}):
                continue
            self.change(snapshot.reference.path, leaseExpiresAt=ended_at)
            lease = self.client.field_path("leases", snapshot.id)
            self.client.document(f"inFlight/{snapshot.get('userId')}").update({lease: ended_at})

    def unmark_pictures(self) -> None:
        """Lets no sweep delete what failed requests left so far."""
        marked = self.client.collection("generationRequests").where(
            filter=firestore.FieldFilter("pictureToDelete", "==", True)
        )
        for snapshot in marked.stream():
            self.change(snapshot.reference.path, pictureToDelete=firestore.DELETE_FIELD)

    def add_history(self, user_id: str, entries: int, final_credits: int = 0) -> list[str]:
        """Adds so many deductions of one credit, the last of which leaves `final_credits`; their ids, oldest first.

        Three each have the same time, so that the id has to decide their order.
        """
        ids = [f"{number:06d}-deduction" for number in range(entries)]
        ledger = self.client.collection(f"users/{user_id}/transactions")
        for first in range(0, entries, MAX_WRITES):
            batch = self.client.batch()
            for number in range(first, min(first + MAX_WRITES, entries)):
                entry = {
                    "type": "deduction",
                    "credits": 1,
                    "balanceAfter": final_credits + entries - 1 - number,
                    "generationRequestId": ids[number].removesuffix("-deduction"),
                    "timestamp": HISTORY_BEGAN_AT + timedelta(seconds=number // 3),
                }
                batch.set(ledger.document(ids[number]), entry)
            batch.commit()
        return ids

    def put(self, path: str, data: dict[str, Any]) -> None:
        """Stores a document as somebody with the console would."""
        self.client.document(path).set(data)

    def change(self, path: str, **fields: Any) -> None:
        """Changes some fields of a document as somebody with the console would."""
        self.client.document(path).update(fields)

    def remove(self, path: str) -> None:
        self.client.document(path).delete()

    def get(self, path: str) -> dict[str, Any] | None:
        data: dict[str, Any] | None = self.client.document(path).get().to_dict()
        return data

    def balance(self, user_id: str) -> Any:
        return (self.get(f"users/{user_id}") or {}).get("credits")

    def entries(self, user_id: str) -> list[dict[str, Any]]:
        """A user's ledger without what add_user granted, oldest first; entries of one commit by their ids."""
        query = self.client.collection(f"users/{user_id}/transactions").order_by("timestamp")
        found = [{"id": snapshot.id, **(snapshot.to_dict() or {})} for snapshot in query.stream()]
        return [entry for entry in found if entry.get("reason") != OPENING_REASON]

    def requests_of(self, user_id: str) -> list[dict[str, Any]]:
        query = self.client.collection("generationRequests").where(
            filter=firestore.FieldFilter("userId", "==", user_id)
        )
        return [{"id": snapshot.id, **(snapshot.to_dict() or {})} for snapshot in query.stream()]

    def everything(self) -> dict[str, dict[str, Any]]:
        """Every document as Firestore's JSON, by path; with its version, so that a change to and fro shows too."""
        documents = self._url("v1", "/documents")
        query = {"structuredQuery": {"from": [{"allDescendants": True}]}}
        response = requests.post(f"{documents}:runQuery", json=query, headers=OWNER, timeout=30)
        response.raise_for_status()
        found = (answer["document"] for answer in response.json() if "document" in answer)
        return {document["name"].partition("/documents/")[2]: document for document in found}

    def _url(self, api: str, place: str) -> str:
        host = os.environ["FIRESTORE_EMULATOR_HOST"]
        return f"http://{host}/{api}/projects/{self.id}/databases/(default){place}"


# The demo project is on each start's own emulator.
@cache
def _client(project_id: str, host: str) -> firestore.Client:
    return firestore.Client(project=project_id)


@cache
def _connection(project_id: str, host: str) -> Connection:
    return store.connect(project_id)
