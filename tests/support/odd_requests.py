"""Requests that no client should send, and some that are valid, as Hypothesis strategies."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from tests.support.wire import RawRequest

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "BREW", "A-B")
CONTENT_TYPES = (
    b"application/json; charset=utf-8",
    b"application/json; charset=latin-1",
    b"APPLICATION/JSON",
    b"application/problem+json",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"multipart/form-data",
    b"text/plain",
    b"application/",
    b";;;=",
    b"",
)
TRACES = (b"105445aa7843bc8bf206b12000100000/1;o=1", b"/;o=1", b"x" * 5_000, b"%0a", b"\xff/\xff;o=\xff", b"{}", b"")
OTHER_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Content-Encoding",
    "Content-Language",
    "Cookie",
    "Date",
    "Forwarded",
    "Function-Execution-Id",
    "If-None-Match",
    "Origin",
    "Range",
    "Referer",
    "User-Agent",
    "X-Firebase-AppCheck",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-HTTP-Method-Override",
)
HUGE_HEADERS = [("X-Huge", b"x" * 6_000)] * 3
# Odd in Python, in JSON, in Unicode, in a path of Firestore, or in a header.
ODD_VALUES: Sequence[Any] = (
    None,
    True,
    0,
    -1,
    1.5,
    -0.0,
    10**30,
    10**4_000,
    2**63,
    float("nan"),
    float("inf"),
    "",
    " ",
    ".",
    "..",
    "__id__",
    "a/b",
    "users/rich/transactions/x",
    "\0",
    "\ud800",
    "a\udfff",
    "\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT OVERRIDE}",
    "\N{PILE OF POO}" * 128,
    "e\N{COMBINING ACUTE ACCENT}" * 200,
    "x" * 4_001,
    "rich\n",
    " rich",
    [],
    [[]],
    {},
    {"__proto__": {"isAdmin": True}},
)
ODD_BODIES: Sequence[bytes] = (
    b"{" + b" " * 65_000 + b"}",
    b" " * 70_000,
    b'{"prompt": "' + b"x" * 70_000 + b'"}',
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"1",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5_000,
    b"[" * 60_000,
    b"[" * 30_000 + b"]" * 30_000,
    b'{"a":' * 12_000,
    b'{"userId":' + b"9" * 5_000 + b"}",
    b'{"userId": "a", "userId": "b"}',
    b'{"userId": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"": 1, "a.b": 1, "__proto__": 1, "userId": "rich"}',
    b'{"userId": "\xff"}',
    b"{'userId': 'rich'}",
    b"\xef\xbb\xbf{}",
    b"{}" + b"\0" * 10,
    b"{}{}",
    b"userId=rich&model=model-a",
    '{"userId": "rich"}'.encode("utf-16"),
)


@dataclass(frozen=True)
class Target:
    """One function, and what a valid request to it looks like."""

    function: str
    method: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


# An optional field, one that is a header, one that is misspelt, and one that nothing has.
OTHER_FIELDS = ("prompt", "Idempotency-Key", "userID", "x")
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
ODD_QUERIES = (
    b"a=1&" * 600,
    b"userId=" + b"x" * 2_100,
    b"%",
    b"%%%",
    b"=",
    b"&&&",
    b"userId[]=rich",
    b"userId=%ff",
    b";",
)
ODD_TEXTS = [value.encode("utf-8", "surrogatepass") for value in ODD_VALUES if isinstance(value, str)]
ODD_KEYS = (b"", b"x" * 255, b"x" * 256, b"a b", b"\xe9")
# Without control characters, which the server itself refuses.
FIELD_VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40).map(
    lambda text: text.encode("latin-1")
)
FIELD_NAMES = st.sampled_from(OTHER_HEADERS) | st.text("abcXYZ019-", min_size=1, max_size=20).map("X-{}".format)
VISIBLE = st.text(PRINTABLE, max_size=60).map(str.encode)
BYTES = st.binary(max_size=60)
JSON = st.recursive(
    st.sampled_from(ODD_VALUES) | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
# Hypothesis makes the odd values. Dice decide where they go; Hypothesis would try the same places again and again.
DICE = st.randoms(use_true_random=True)
Headers = list[tuple[str, bytes]]


def single_oddities(target: Target) -> Iterator[RawRequest]:
    """Requests that are valid but for one thing, which is each odd thing in turn."""
    parameters = {name: values[0].encode() for name, values in target.query.items()}
    body = json.dumps(target.body).encode() if target.body else None
    numbers = itertools.count()

    def request(
        method: str = target.method, query: bytes | None = None, text: bytes | None = body, **headers: bytes
    ) -> RawRequest:
        # A key of its own, since another request's key would only give its answer again.
        valid = {"Content-Type": b"application/json", "Idempotency-Key": b"odd-%d" % next(numbers)}
        sent = {**valid, **{name.replace("_", "-"): value for name, value in headers.items()}}
        encoded = _encoded(parameters.items()) if query is None else query
        return RawRequest(method, _target(target.function, encoded), [*sent.items()], text)

    yield from (request(method=method) for method in METHODS)
    yield from (request(query=query) for query in ODD_QUERIES)
    yield from (request(Content_Type=value) for value in CONTENT_TYPES)
    yield from (request(Idempotency_Key=value) for value in ODD_KEYS)
    yield from (request(X_Cloud_Trace_Context=value) for value in TRACES)
    for name in parameters:
        yield from (request(query=_encoded({**parameters, name: value}.items())) for value in ODD_TEXTS)
    if target.body:
        yield from (request(text=text) for text in ODD_BODIES)
        for name in (*target.body, *OTHER_FIELDS):
            yield from (request(text=json.dumps({**target.body, name: value}).encode()) for value in ODD_VALUES)


@st.composite
def raw_requests(draw: st.DrawFn, target: Target, tokens: Sequence[bytes], token_share: float) -> RawRequest:
    """Requests to a function. This share of them carries one of the tokens."""
    dice = draw(DICE)
    method = target.method if dice.random() < 0.8 else dice.choice(METHODS)
    query = _query(draw, dice, target.query)
    headers = _headers(draw, dice)
    if dice.random() < token_share:
        headers.append(("Authorization", b"Bearer " + dice.choice(tokens)))
    has_body = target.body is not None or dice.random() < 0.1
    body = _body(draw, dice, target.body or {}) if has_body else None
    return RawRequest(method, _target(target.function, query), headers, body)


def _query(draw: st.DrawFn, dice: Random, valid: Mapping[str, Sequence[str]]) -> bytes:
    # A function without parameters refuses every one of them, so most requests to it have none.
    odd_share = 0.3 if valid else 0.05
    if dice.random() < odd_share / 3:
        return draw(VISIBLE) if dice.random() < 0.5 else dice.choice(ODD_QUERIES)
    pairs = [(name, dice.choice(values).encode()) for name, values in valid.items() if dice.random() < 0.9]
    while dice.random() < odd_share:
        name = dice.choice([*valid, *valid, *valid, "userId", "", "x"])
        pairs.append((name, dice.choice(ODD_TEXTS) if dice.random() < 0.5 else draw(BYTES)))
    # Of a parameter that comes twice the first counts.
    dice.shuffle(pairs)
    return _encoded(pairs)


def _headers(draw: st.DrawFn, dice: Random) -> Headers:
    if dice.random() < 0.02:
        return [*HUGE_HEADERS]
    found: Headers = []
    if dice.random() < 0.6:
        found.append(("Idempotency-Key", _key(draw, dice)))
    if dice.random() < 0.2:
        found.append(("X-Cloud-Trace-Context", dice.choice(TRACES) if dice.random() < 0.5 else draw(FIELD_VALUES)))
    if dice.random() < 0.05:
        found.append(("Authorization", draw(FIELD_VALUES)))
    while dice.random() < 0.2:
        found.append((draw(FIELD_NAMES), draw(FIELD_VALUES)))
    if found and dice.random() < 0.1:
        found.append(dice.choice(found))
    # The server itself refuses two of this one.
    return [("Content-Type", b"application/json" if dice.random() < 0.9 else dice.choice(CONTENT_TYPES)), *found]


def _key(draw: st.DrawFn, dice: Random) -> bytes:
    match dice.randrange(4):
        case 0:
            return dice.choice(ODD_KEYS)
        case 1:
            return draw(VISIBLE)
        case _:
            return b"key-%d" % dice.randrange(200)


def _body(draw: st.DrawFn, dice: Random, valid: Mapping[str, Any]) -> bytes:
    text = json.dumps(valid).encode()
    at = dice.randrange(len(text))
    kind = dice.choices(["valid", "changed", "twice", "spliced", "cut", "odd", "binary"], [4, 6, 2, 2, 1, 4, 1])[0]
    if kind == "changed":
        names = dice.sample([*valid, "prompt", dice.choice(OTHER_FIELDS)], dice.choice([1, 1, 2]))
        text = json.dumps({**valid, **{name: draw(JSON) for name in names}}).encode()
    elif kind == "twice":
        text = json.dumps({dice.choice([*valid, "x"]): draw(JSON)}).encode()[:-1] + b"," + text[1:]
    elif kind == "spliced":
        text = text[:at] + draw(BYTES)[:4] + text[at + dice.randrange(4) :]
    elif kind == "cut":
        text = text[:at]
    elif kind == "odd":
        text = dice.choice(ODD_BODIES)
    elif kind == "binary":
        text = draw(BYTES)
    return text


def _encoded(pairs: Iterable[tuple[str, bytes]]) -> bytes:
    return b"&".join(b"%b=%b" % (name.encode(), quote_from_bytes(value).encode()) for name, value in pairs)


def _target(function: str, query: bytes) -> bytes:
    return b"/%b?%b" % (function.encode(), query)
