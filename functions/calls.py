"""What a handler gets and what it returns. No HTTP."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from errors import PermissionDenied
from store import Deadline


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `user_id` is None for a caller without a token."""

    user_id: str | None = None
    is_admin: bool = False

    def may_act_for(self, user_id: str) -> bool:
        """Users act for themselves, admins for everybody."""
        return self.is_admin or user_id == self.user_id

    def must_act_for(self, user_id: str) -> None:
        """Raises PermissionDenied if the caller may not act for this user."""
        if not self.may_act_for(user_id):
            raise PermissionDenied("Only an admin may use another user's account.")


@dataclass(frozen=True, slots=True)
class Call:
    """The caller, and the deadline of the answer."""

    caller: Caller
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Ok:
    """A 200 answer in JSON."""

    reply: BaseModel
    is_replay: bool = False
    # The client's preference that was followed: https://www.rfc-editor.org/rfc/rfc7240#section-3
    applied: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 202 answer in JSON: the work goes on, and `location`, relative to this function, tells how it ends."""

    reply: BaseModel
    location: str
    applied: str
    retry_after_seconds: int
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A 200 answer that is not JSON. A browser applies no styles but those of `style_source`, in a policy's words."""

    text: str
    media_type: str
    style_source: str = "'none'"


@dataclass(frozen=True, slots=True)
class Png:
    """A 200 answer that is a PNG, drawn unless the client has it already. The same `etag` means the same bytes."""

    etag: str
    draw: Callable[[], bytes]


class TryAgain(Exception):
    """A task is to be tried again. What happened is logged already."""


HandlerResult = Ok | Accepted | Text | Png
