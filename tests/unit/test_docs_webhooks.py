"""docs/webhooks.md: its receiver verifies what is sent, and its words are those of the code."""

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import events
from tests.unit.webhooks.test_messages import DELIVERY
from webhooks import deliveries, messages
from webhooks.sender import NO_ANSWER

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


@pytest.fixture(name="block")
def run_block() -> dict[str, Any]:
    """What the document's one Python block defines."""
    [source] = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, "docs/webhooks.md", "exec"), names)
    return names


def test_its_receiver_takes_what_is_sent_once(block: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The same webhook sent twice gets 204 both times, and is taken once."""
    body = messages.body(DELIVERY)
    headers = messages.headers(DELIVERY.id, body, datetime.now(UTC), block["SECRET"])
    assert [block["receive"](body, headers) for _ in range(2)] == [204, 204]
    assert capsys.readouterr().out.count("credits.granted") == 1


def test_its_receiver_refuses_forgeries(block: dict[str, Any]) -> None:
    """A changed body, an old time, no signature, and one that cannot be read."""
    body = messages.body(DELIVERY)
    good = messages.headers(DELIVERY.id, body, datetime.now(UTC), block["SECRET"])
    old = messages.headers(DELIVERY.id, body, datetime.now(UTC) - timedelta(minutes=6), block["SECRET"])
    unsigned = messages.headers(DELIVERY.id, body, datetime.now(UTC), "")
    forged = [(body + b" ", good), (body, old), (body, unsigned), (body, {**good, "webhook-signature": "x"})]
    assert [block["receive"](*each) for each in forged] == [401] * 4


def test_it_names_every_event_and_every_word() -> None:
    """Types of events, and what a last answer can be."""
    names = [value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)]
    types = [name for name in names if name != events.REPORT_ANOMALIES]
    assert len(types) == 4
    assert all(f"`{type_}`" in TEXT for type_ in types)
    assert all(f"`{words}`" in TEXT for words in (NO_ANSWER, deliveries.NO_ADDRESS, deliveries.NO_SECRET))
    assert {field.name for field in fields(DELIVERY)} >= {"last_answer", "last_attempt_at"}
