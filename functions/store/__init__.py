"""Firestore: optimistic transactions, reads, queries and time budgets. Knows nothing of credits or images."""

from store.budget import NO_DEADLINE, Deadline
from store.client import DEFAULT_DATABASE, Connection, Row, StoreError, connect
from store.documents import (
    COMMIT_TIME,
    REMOVED,
    Document,
    Query,
    Version,
    Write,
    document_id,
    is_plain_id,
)
from store.reads import readable
from store.retries import RetryPolicy
from store.transactions import Answer, Commit, Plan, QueryFirst, Store
from store.values import Opaque

__all__ = [
    "COMMIT_TIME",
    "DEFAULT_DATABASE",
    "NO_DEADLINE",
    "REMOVED",
    "Answer",
    "Commit",
    "Connection",
    "Deadline",
    "Document",
    "Opaque",
    "Plan",
    "Query",
    "QueryFirst",
    "RetryPolicy",
    "Row",
    "Store",
    "StoreError",
    "Version",
    "Write",
    "connect",
    "document_id",
    "is_plain_id",
    "readable",
]
