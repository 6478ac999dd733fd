"""The Prefer header of a purchase: how long the client wants to wait. https://www.rfc-editor.org/rfc/rfc7240

A preference that is not known or cannot be read is ignored, as the RFC asks.
"""

import re
from dataclasses import dataclass
from urllib.request import parse_http_list

# Longer than any deadline, and short enough for a float.
_SECONDS = re.compile("[0-9]{1,99}")


@dataclass(frozen=True, slots=True)
class WaitPreference:
    """How long to wait for the image before the answer is 202, and the words that the client said it with."""

    seconds: int
    applied: str


def parse_prefer(prefer: str | None) -> WaitPreference | None:
    """What the header asks for; None if it does not ask for an asynchronous purchase. The first of each name counts."""
    asked: dict[str, str] = {}
    for preference in parse_http_list(prefer or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        asked.setdefault(name.strip().lower(), value.strip().strip('"'))
    is_async = "respond-async" in asked and not asked["respond-async"]
    wait = asked.get("wait", "")
    words = ["respond-async"] if is_async else []
    if _SECONDS.fullmatch(wait):
        words.append(f"wait={int(wait)}")
        return WaitPreference(int(wait), ", ".join(words))
    return WaitPreference(0, words[0]) if words else None
