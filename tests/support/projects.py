"""A fresh Firestore project in the emulator for each test, seeded as a newcomer's is, and everything in it at once."""

import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from google.cloud import firestore

from seed import load_catalog

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"

HISTORY_BEGAN_AT = datetime(2026, 1, 5, tzinfo=UTC)
MOST_WRITES = 500
SEED = json.loads((SCRIPTS / "seed.json").read_text(encoding="utf-8"))


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
        documents = f"emulator/v1/projects/{project.id}/databases/(default)/documents"
        requests.delete(f"http://{os.environ['FIRESTORE_EMULATOR_HOST']}/{documents}", timeout=30).raise_for_status()
        return project

    @classmethod
    def seeded(cls) -> "Project":
        """A new project with the shipped catalog and no user."""
        project = cls.empty()
        load_catalog(project.client, SEED)
        return project

    @property
    def client(self) -> firestore.Client:
        return _client(self.id)

    def add_user(self, credits: Any = 100, user_id: str | None = None) -> str:
        """Creates a user with this value as the balance, whatever it is."""
        user_id = user_id or f"user-{uuid.uuid4().hex[:8]}"
        self.client.document(f"users/{user_id}").set({"credits": credits})
        return user_id

    def add_history(self, user_id: str, entries: int, final_credits: int = 0) -> list[str]:
        """Adds so many deductions of one credit, the last of which leaves `final_credits`; their ids, oldest first.

        Three each have the same time, so that the id has to decide their order.
        """
        ids = [f"{number:06d}-deduction" for number in range(entries)]
        ledger = self.client.collection(f"users/{user_id}/transactions")
        for first in range(0, entries, MOST_WRITES):
            batch = self.client.batch()
            for number in range(first, min(first + MOST_WRITES, entries)):
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

    def get(self, path: str) -> dict[str, Any] | None:
        data: dict[str, Any] | None = self.client.document(path).get().to_dict()
        return data

    def balance(self, user_id: str) -> Any:
        return (self.get(f"users/{user_id}") or {}).get("credits")

    def entries(self, user_id: str) -> list[dict[str, Any]]:
        """A user's ledger, oldest first."""
        query = self.client.collection(f"users/{user_id}/transactions").order_by("timestamp")
        return [{"id": snapshot.id, **(snapshot.to_dict() or {})} for snapshot in query.stream()]

    def requests_of(self, user_id: str) -> list[dict[str, Any]]:
        query = self.client.collection("generationRequests").where(
            filter=firestore.FieldFilter("userId", "==", user_id)
        )
        return [{"id": snapshot.id, **(snapshot.to_dict() or {})} for snapshot in query.stream()]

    def everything(self) -> dict[str, dict[str, Any]]:
        """Every document, by path."""
        return dict(_walk(self.client.collections()))


_CLIENTS: dict[str, firestore.Client] = {}


def _client(project_id: str) -> firestore.Client:
    if project_id not in _CLIENTS:
        _CLIENTS[project_id] = firestore.Client(project=project_id)
    return _CLIENTS[project_id]


def _walk(collections: Iterable[Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for collection in collections:
        for reference in collection.list_documents():
            snapshot = reference.get()
            if snapshot.exists:
                yield reference.path, snapshot.to_dict()
            yield from _walk(reference.collections())
