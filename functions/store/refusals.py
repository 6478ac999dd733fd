"""What an operator has to do if Firestore refuses and a retry cannot help, in words that are safe to log.

Firestore's own message may quote a document's id, which a user may have chosen. So only a link to Google's console is
kept of it: an id has no slash and cannot be such a link.
"""

import re

from grpc import StatusCode

_ADVICE = {
    StatusCode.NOT_FOUND: "Create the Firestore database, or set FIRESTORE_DATABASE to the name of one.",
    StatusCode.FAILED_PRECONDITION: "The Firestore database must be in Native mode.",
    StatusCode.PERMISSION_DENIED: (
        "Give the functions' service account the role Cloud Datastore User; enable the Firestore API and billing."
    ),
    StatusCode.UNAUTHENTICATED: "Firestore does not accept these credentials, or there are none.",
}
_INDEX_ADVICE = "Deploy firestore.indexes.json, and wait until the index is built."
_INDEX = re.compile(r"The query requires an index")
# A commit's NOT_FOUND means a deleted document, unless the message begins like this. Others may quote a document.
_NO_DATABASE = re.compile(r"The (project|database) \S+ does not exist")
_LINK = re.compile(r"https://console\.(cloud|developers|firebase)\.google\.com/[!-~]*")
# Google's answers to revoked credentials: https://www.rfc-editor.org/rfc/rfc6749#section-5.2. gRPC reports every error
# while it gets a token as UNAVAILABLE.
_BAD_CREDENTIALS = re.compile(
    r"Getting metadata from plugin failed.*(invalid_grant|invalid_client|unauthorized_client|Reauthentication)",
    re.DOTALL,
)


def true_code(code: StatusCode, words: str) -> StatusCode:
    """gRPC's code, corrected by its message: it reports bad credentials as UNAVAILABLE."""
    if code is StatusCode.UNAVAILABLE and _BAD_CREDENTIALS.match(words):
        return StatusCode.UNAUTHENTICATED
    return code


def advice(code: StatusCode, words: str = "", *, of_commit: bool = False) -> str | None:
    """What an operator has to do, with Google's link if there is one; None if a retry may help."""
    is_conflict = code in (StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION) and not _NO_DATABASE.match(words)
    if code not in _ADVICE or (of_commit and is_conflict):
        return None
    said = _INDEX_ADVICE if code is StatusCode.FAILED_PRECONDITION and _INDEX.match(words) else _ADVICE[code]
    link = _LINK.search(words)
    return f"{said} {link[0].rstrip('.,')}" if link else said
