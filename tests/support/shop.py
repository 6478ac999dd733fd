"""Books in which something happened already, and servers of many functions at once."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import validation
from assembly import assembled
from contract import ORDER
from identities import Account
from ledger import GenerationRequest, Ledger, Reservation
from projects import Project
from servers import FunctionServer

OLDER_REPORT_ID = "report_2020-01-06"
# One server of a function among others of it, with other settings.
Key = tuple[str, str]


@dataclass(frozen=True)
class Shop:
    """What can be asked for: `rich` buys; `reader` has a completed request, a failed one and the entries of both."""

    completed_id: str
    failed_id: str
    entry_token: str
    request_token: str
    user_token: str
    admin_token: str
    forged_token: str

    @classmethod
    def opened(cls, project: Project) -> "Shop":
        project.add_user(1_000_000, "rich")
        project.add_user(1_000, "reader")
        ledger = assembled(lambda: project.client).ledger
        completed, failed = reserved(ledger, "reader", "completed"), reserved(ledger, "reader", "failed")
        ledger.complete(completed, "https://images.example.com/model-a/completed.png")
        ledger.refund(failed)
        project.client.document(f"reports/{OLDER_REPORT_ID}").set({"totalRequests": 4, "topUser": "ann"})
        return cls(
            completed.request_id,
            failed.request_id,
            entry_token=_token_of(f"{completed.request_id}-deduction"),
            request_token=_token_of(completed.request_id),
            user_token=Account.new(project.id, "ann").token(),
            admin_token=Account.new(project.id, "root", is_admin=True).token(),
            forged_token=Account(project.id, "nobody").token(),
        )


def reserved(ledger: Ledger, user_id: str, key: str) -> Reservation:
    """A purchase that is pending under this key."""
    reservation = ledger.reserve(GenerationRequest(user_id, **ORDER, prompt=None, cost_credits=1), key)
    assert isinstance(reservation, Reservation)
    return reservation


@contextmanager
def serving(project: Project, settings: Mapping[Key, Mapping[str, str]]) -> Iterator[dict[Key, FunctionServer]]:
    """Servers with these settings, by what tells them apart and their function; they start side by side."""
    with ExitStack() as stack:
        servers = {
            (kind, function): FunctionServer(function, project.id, **its) for (kind, function), its in settings.items()
        }
        for server in servers.values():
            stack.enter_context(server)
        yield servers


def _token_of(document_id: str) -> str:
    token = validation.next_page_token(document_id)
    assert token is not None
    return token
