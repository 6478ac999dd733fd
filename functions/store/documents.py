"""What is read from Firestore and written to it: documents, queries, writes."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, NewType

# The server's exact time of a write or a read, in nanoseconds since 1970. Only compared and sent back.
Version = NewType("Version", int)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Firestore reserves these as document ids: https://firebase.google.com/docs/firestore/quotas#limits
_RESERVED_ID = re.compile(r"\.\.?|__.*__", re.DOTALL)


class Instruction(Enum):
    """Used instead of a field's value in a Write."""

    COMMIT_TIME = "commit time"
    REMOVED = "removed"


# The time at which the server writes the field, independent of this machine's clock.
COMMIT_TIME: Final = Instruction.COMMIT_TIME
# Removes the field.
REMOVED: Final = Instruction.REMOVED


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `data` and `version` are None if it does not exist."""

    path: str
    data: Mapping[str, Any] | None
    version: Version | None
    read_time: Version | None = None

    @property
    def id(self) -> str:
        return document_id(self.path)

    @property
    def exists(self) -> bool:
        return self.data is not None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The document's fields; empty if it does not exist."""
        return self.data or {}

    @property
    def read_at(self) -> datetime:
        """When it was read, by the server's clock. Instances' clocks differ, so use this as "now"."""
        assert self.read_time is not None, "only a document that was read has a read time"
        return _EPOCH + timedelta(microseconds=self.read_time // 1000)


@dataclass(frozen=True, slots=True)
class Query:
    """Documents of one collection that match every (field, operator, value), ordered by a field (if any) and the id.

    With `everywhere`, `collection` is a name, and every collection with that name is searched, at any depth. Operators
    are ==, <, <=, > and >=. `after` is the last document of the previous page. A query with both an equality and an
    order needs a composite index in firestore.indexes.json; the emulator does not require one.
    """

    collection: str
    where: Sequence[tuple[str, str, Any]] = ()
    order_by: str | None = None
    descending: bool = False
    after: Document | None = None
    limit: int | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Fields to write to one document.

    If `replaces` is None, the document must not exist. Otherwise it must still have that version, and its other fields
    stay as they are. A write that `merges` has no condition: it creates or changes the document, and merges maps field
    by field. Field names are literal: a dot in a name does not lead into a map.
    """

    path: str
    data: Mapping[str, Any]
    replaces: Version | None = None
    merges: bool = False


def is_plain_id(text: str, max_length: int) -> bool:
    """Whether a text can be a document's id: not a path, not reserved, and without control characters."""
    return (
        1 <= len(text) <= max_length
        and "/" not in text
        and not _RESERVED_ID.fullmatch(text)
        # Cc: control characters. Cs: lone surrogates, which UTF-8 cannot carry.
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
    )


def document_id(path: str) -> str:
    """The last part of a document's path."""
    return path.rpartition("/")[2]
