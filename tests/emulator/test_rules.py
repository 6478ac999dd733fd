"""What firestore.rules let an app's clients do, against the real emulator, with ID tokens of real sign-ins.

The emulator believes every token. Firestore itself checks that it is signed, of this project and not expired before it
looks at the rules; no test here can.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support.projects import Project
from tests.support.rules_client import Json, RulesClient, both, either, field_is, is_null, select

RUN = f"rules-{uuid.uuid4().hex[:8]}"
READS, WRITES = ("get", "list", "query"), ("create", "update", "delete")


@dataclass(frozen=True)
class Place:
    """A document; `owned_by` is the filter with which a query would ask for it and others like it."""

    path: str
    fields: dict[str, Any]
    owned_by: Json | None = None

    @property
    def collection(self) -> str:
        return self.path.rpartition("/")[0]


def naming_its_owner(path: str, uid: str) -> Place:
    return Place(path, {"userId": uid, "status": "completed"}, field_is("userId", uid))


PERSONAL: dict[str, Callable[[str], Place]] = {
    "users": lambda uid: Place(f"users/{uid}", {"credits": 5}),
    "transactions": lambda uid: Place(f"users/{uid}/transactions/{RUN}", {"type": "grant", "credits": 5}),
    "generationRequests": lambda uid: naming_its_owner(f"generationRequests/of-{uid}", uid),
    "inFlight": lambda uid: Place(f"inFlight/{uid}", {"leases": {}}),
    "grants": lambda uid: naming_its_owner(f"grants/of-{uid}", uid),
    "users/*/secrets": lambda uid: naming_its_owner(f"users/{uid}/secrets/{RUN}", uid),
    "transactions/*/notes": lambda uid: naming_its_owner(f"users/{uid}/transactions/{RUN}/notes/{RUN}", uid),
    "generationRequests/*/notes": lambda uid: naming_its_owner(f"generationRequests/of-{uid}/notes/{RUN}", uid),
    "webhookDeliveries": lambda uid: naming_its_owner(f"webhookDeliveries/of-{uid}", uid),
    "unknown": lambda uid: naming_its_owner(f"unknown/{uid}", uid),
    "unknown/*/transactions": lambda uid: naming_its_owner(f"unknown/{uid}/transactions/{RUN}", uid),
}
SHARED: dict[str, Place] = {
    name: Place(f"{name}/{RUN}", {"credits": 5})
    for name in ("styles", "colors", "sizes", "reports", "styles/anime/notes")
}

# Everything that is allowed. It depends on whose document it is, not on who asks: an admin is a user like any other.
ALLOWED = {
    ("styles", "shared"): {"get", "list", "query"},
    ("colors", "shared"): {"get", "list", "query"},
    ("sizes", "shared"): {"get", "list", "query"},
    ("users", "own"): {"get"},
    ("transactions", "own"): {"get", "list", "query"},
    # Not list, which asks for everybody's.
    ("generationRequests", "own"): {"get", "query"},
}
CASES = [
    (collection, relation, who, operation)
    for who in ("nobody", "user", "admin")
    for relation in ("shared", "own", "other's")
    for collection in (SHARED if relation == "shared" else PERSONAL)
    for operation in (*READS, *WRITES)
    if (who, relation) != ("nobody", "own")
]


@dataclass(frozen=True)
class World:
    """The project whose accounts can sign in, with people of this module's own and the documents it put there."""

    project: Project
    nobody: RulesClient
    user: RulesClient
    admin: RulesClient
    other: str
    paths: set[str] = field(default_factory=set)

    def put(self, place: Place) -> None:
        self.paths.add(place.path)
        self.project.client.document(place.path).set(place.fields)

    def remove(self, place: Place) -> None:
        self.paths.add(place.path)
        self.project.client.document(place.path).delete()

    def stored(self) -> dict[str, Any]:
        """Every document of this module, by path."""
        references = [self.project.client.document(path) for path in self.paths]
        return {found.reference.path: found.to_dict() for found in self.project.client.get_all(references)}

    def person(self, who: str) -> RulesClient:
        return {"nobody": self.nobody, "user": self.user, "admin": self.admin}[who]

    def place(self, collection: str, relation: str, client: RulesClient) -> Place:
        if relation == "shared":
            return SHARED[collection]
        return PERSONAL[collection](uid_of(client) if relation == "own" else self.other)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    project = Project(os.environ["GCLOUD_PROJECT"])
    found = World(
        project,
        RulesClient(project.id),
        RulesClient.of_new_account(project.id, f"{RUN}-user"),
        RulesClient.of_new_account(project.id, f"{RUN}-admin", {"admin": True}),
        uid_of(RulesClient.of_new_account(project.id, f"{RUN}-other")),
    )
    assert found.admin.claims()["admin"] is True
    for uid in (uid_of(found.user), uid_of(found.admin), found.other):
        for place in PERSONAL.values():
            found.put(place(uid))
    yield found
    for path in found.paths:
        project.client.document(path).delete()


def uid_of(client: RulesClient) -> str:
    assert client.user_id is not None
    return client.user_id


def perform(client: RulesClient, operation: str, place: Place) -> requests.Response:
    parent, _, collection_id = place.collection.rpartition("/")
    write = client.setting(place.path, {"credits": 1_000})
    asked: dict[str, Callable[[], requests.Response]] = {
        "get": lambda: client.get(place.path),
        "list": lambda: client.list(place.collection),
        "query": lambda: client.query(parent, select(collection_id, place.owned_by)),
        "create": lambda: client.commit({**write, "currentDocument": {"exists": False}}),
        "update": lambda: client.commit({**write, "currentDocument": {"exists": True}}),
        "delete": lambda: client.commit({"delete": client.name(place.path)}),
    }
    return asked[operation]()


def assert_denied(response: requests.Response) -> None:
    assert response.status_code == 403, response.text
    assert response.json()["error"]["status"] == "PERMISSION_DENIED", response.text


@pytest.mark.parametrize(("collection", "relation", "who", "operation"), CASES)
def test_only_what_the_table_names_is_allowed(
    world: World, collection: str, relation: str, who: str, operation: str
) -> None:
    """What ALLOWED names gives the document; everything else gets 403; either way nothing changes."""
    client = world.person(who)
    place = world.place(collection, relation, client)
    if operation == "create":
        world.remove(place)
    else:
        world.put(place)
    response = perform(client, operation, place)
    if operation in ALLOWED.get((collection, relation), ()):
        assert response.status_code == 200, response.text
        assert f'"{client.name(place.path)}"' in response.text
    else:
        assert_denied(response)
    assert world.project.get(place.path) == (None if operation == "create" else place.fields)


def own_and(world: World, other: Json) -> Json:
    return either(field_is("userId", uid_of(world.user)), other)


TOO_WIDE: dict[str, Callable[[World], Json]] = {
    "no filter": lambda world: {},
    "another's": lambda world: {"where": field_is("userId", world.other)},
    "one's own and another's": lambda world: {"where": own_and(world, field_is("userId", world.other))},
    "one's own or any completed": lambda world: {"where": own_and(world, field_is("status", "completed"))},
    "a list with another's": lambda world: {
        "where": field_is("userId", [uid_of(world.user), world.other], operator="IN")
    },
    "from one's own on": lambda world: {
        "where": field_is("userId", uid_of(world.user), operator="GREATER_THAN_OR_EQUAL")
    },
    "all but another's": lambda world: {"where": field_is("userId", world.other, operator="NOT_EQUAL")},
    "a field that only looks like it": lambda world: {"where": field_is("userid", uid_of(world.user))},
    "no owner": lambda world: {"where": is_null("userId")},
    "a cursor instead of a filter": lambda world: {
        "orderBy": [{"field": {"fieldPath": "userId"}}],
        "startAt": {"values": [{"stringValue": uid_of(world.user)}], "before": True},
        "endAt": {"values": [{"stringValue": uid_of(world.user)}]},
    },
    "a limit": lambda world: {"limit": 1},
    "nothing but names": lambda world: {"select": {"fields": [{"fieldPath": "__name__"}]}},
}


@pytest.mark.parametrize("width", TOO_WIDE)
@pytest.mark.parametrize("who", ["nobody", "user", "admin"])
def test_a_query_for_more_than_ones_own_requests_is_denied(world: World, who: str, width: str) -> None:
    """Rows and a mere count alike are refused unless the filter itself says that only one's own can come."""
    asked = {**select("generationRequests"), **TOO_WIDE[width](world)}
    for ask in (world.person(who).query, world.person(who).count):
        assert_denied(ask("", asked))


def test_ones_own_requests_can_be_narrowed_ordered_and_counted(world: World) -> None:
    """The filter for oneself goes with others, an order and a limit, and all that comes is one's own."""
    place = PERSONAL["generationRequests"](uid_of(world.user))
    world.put(place)
    own = field_is("userId", uid_of(world.user))
    for where in (own, both(own, field_is("status", "completed"))):
        for more in ({}, {"limit": 5}, {"orderBy": [{"field": {"fieldPath": "status"}}]}):
            asked = select("generationRequests", where, **more)
            rows = world.user.query("", asked).json()
            assert [row["document"]["name"] for row in rows if "document" in row] == [world.user.name(place.path)]
    [counted] = world.user.count("", select("generationRequests", own)).json()
    assert counted["result"]["aggregateFields"]["count"] == {"integerValue": "1"}


@pytest.mark.parametrize("collection", ["users", "transactions", "secrets", "generationRequests", "grants", "styles"])
def test_a_collection_group_is_denied(world: World, collection: str) -> None:
    """No query reaches across collections, not even for what is one's own."""
    for who in ("nobody", "user", "admin"):
        for where in (None, field_is("userId", uid_of(world.user))):
            for ask in (world.person(who).query, world.person(who).count):
                assert_denied(ask("", select(collection, where, descendants=True)))


def test_a_query_of_every_collection_is_denied(world: World) -> None:
    """No query goes without a collection's name, not even below one's own document."""
    for who in ("nobody", "user", "admin"):
        for parent in ("", f"users/{uid_of(world.user)}", f"users/{world.other}"):
            for descendants in (True, False):
                assert_denied(world.person(who).query(parent, select(None, descendants=descendants)))


def test_the_users_cannot_be_counted_or_listed_by_name(world: World) -> None:
    """A query of the users is refused, even for one's own name, and so is their number."""
    own_name = {"referenceValue": world.user.name(f"users/{uid_of(world.user)}")}
    by_name = {"fieldFilter": {"field": {"fieldPath": "__name__"}, "op": "EQUAL", "value": own_name}}
    for who in ("nobody", "user", "admin"):
        for where in (None, by_name):
            for ask in (world.person(who).query, world.person(who).count):
                assert_denied(ask("", select("users", where)))


OWNERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "missing": lambda uid: {},
    "null": lambda uid: {"userId": None},
    "empty": lambda uid: {"userId": ""},
    "a list": lambda uid: {"userId": [uid]},
    "a map": lambda uid: {"userId": {uid: True}},
    "true": lambda uid: {"userId": True},
    "in other letters": lambda uid: {"userId": uid.upper()},
    "longer": lambda uid: {"userId": f"{uid} "},
    "under another name": lambda uid: {"userid": uid, "uid": uid},
}


@pytest.mark.parametrize("owner", OWNERS)
def test_a_request_without_a_proper_owner_is_nobodys(world: World, owner: str) -> None:
    """If userId is not a user's id, or only nearly the caller's, the request is refused to everybody."""
    for who in ("nobody", "user", "admin"):
        fields = OWNERS[owner](world.person(who).user_id or "nobody")
        odd = Place(f"generationRequests/{RUN}-odd", {"status": "completed", **fields})
        world.put(odd)
        assert_denied(world.person(who).get(odd.path))


def test_a_missing_request_is_refused_as_anothers_is(world: World) -> None:
    """Nobody learns from the answer which requests exist; whether one's own account exists, one may know."""
    for who in ("nobody", "user", "admin"):
        assert_denied(world.person(who).get(f"generationRequests/{RUN}-missing"))
        assert_denied(world.person(who).get(f"users/{RUN}-missing"))
    newcomer = RulesClient.of_new_account(world.project.id, f"{RUN}-newcomer")
    assert newcomer.get(f"users/{newcomer.user_id}").status_code == 404


def test_one_foreign_document_spoils_a_batch(world: World) -> None:
    """Documents read together come only if each of them may be read."""
    own = [PERSONAL[name](uid_of(world.user)) for name in ("users", "transactions", "generationRequests")]
    for place in own:
        world.put(place)
    together = world.user.get_all(*(place.path for place in own))
    assert [found["found"]["name"] for found in together.json()] == [world.user.name(place.path) for place in own]
    for foreign in (f"users/{world.other}", f"generationRequests/of-{world.other}", f"inFlight/{world.user.user_id}"):
        assert_denied(world.user.get_all(own[0].path, foreign))


def changed(client: RulesClient, path: str, **transform: Json) -> Json:
    return {"transform": {"document": client.name(path), "fieldTransforms": [{"fieldPath": "credits", **transform}]}}


# What an attacker would send; `me` has a balance and a ledger.
ATTACKS: dict[str, Callable[[RulesClient, str], list[Json]]] = {
    "credits set": lambda me, own: [me.setting(own, {"credits": 1_000})],
    "credits merged": lambda me, own: [
        {**me.setting(own, {"credits": 1_000}), "updateMask": {"fieldPaths": ["credits"]}}
    ],
    "credits as they are": lambda me, own: [me.setting(own, {"credits": 5})],
    "another field": lambda me, own: [{**me.setting(own, {"name": "x"}), "updateMask": {"fieldPaths": ["name"]}}],
    "credits incremented": lambda me, own: [changed(me, own, increment={"integerValue": "1000"})],
    "credits maximised": lambda me, own: [changed(me, own, maximum={"integerValue": "1000"})],
    "credits incremented with an update": lambda me, own: [
        {
            "update": {"name": me.name(own)},
            "updateMask": {"fieldPaths": []},
            "updateTransforms": [{"fieldPath": "credits", "increment": {"integerValue": "1000"}}],
        }
    ],
    "the account deleted": lambda me, own: [{"delete": me.name(own)}],
    "a ledger entry added": lambda me, own: [me.setting(f"{own}/transactions/{RUN}-new", {"credits": 1_000})],
    "a request without a charge": lambda me, own: [
        me.setting(f"generationRequests/{RUN}-free", {"userId": uid_of(me), "status": "pending"})
    ],
    "a request disowned": lambda me, own: [
        me.setting(f"generationRequests/of-{uid_of(me)}", {"userId": "somebody", "status": "completed"})
    ],
    "an allowed read, then a write": lambda me, own: [
        {"verify": me.name(own), "currentDocument": {"exists": True}},
        me.setting(f"{own}/transactions/{RUN}", {"credits": 1_000}),
    ],
    "a style added": lambda me, own: [me.setting(f"styles/{RUN}-new", {})],
    "a price lowered": lambda me, own: [me.setting(f"sizes/{RUN}", {"credits": 0})],
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("who", ["user", "admin"])
def test_an_attack_on_ones_own_credits_is_denied(world: World, who: str, attack: str) -> None:
    """A write of any form gets 403, and nothing is written, not even a part of it."""
    me = world.person(who)
    own = PERSONAL["users"](uid_of(me))
    for place in (own, PERSONAL["transactions"](uid_of(me)), PERSONAL["generationRequests"](uid_of(me))):
        world.put(place)
    writes = ATTACKS[attack](me, own.path)
    world.paths.update(re.findall('/documents/([^"]+)', json.dumps(writes)))
    before = world.stored()
    assert_denied(me.commit(*writes))
    assert world.stored() == before


def test_a_newcomer_cannot_open_an_account_with_credits(world: World) -> None:
    """Only the functions make a user's first document."""
    newcomer = RulesClient.of_new_account(world.project.id, f"{RUN}-first")
    own = Place(f"users/{newcomer.user_id}", {})
    world.remove(own)
    for credits in (0, 1_000):
        assert_denied(newcomer.commit(newcomer.setting(own.path, {"credits": credits})))
    assert world.project.get(own.path) is None


def test_a_write_does_not_tell_what_there_is(world: World) -> None:
    """A commit that only asks whether another's document exists gets the same 403 whether or not it does."""
    for who in ("nobody", "user", "admin"):
        me = world.person(who)
        for path in (f"users/{world.other}", f"users/{RUN}-missing", f"generationRequests/of-{world.other}"):
            for exists in (True, False):
                assert_denied(me.commit({"verify": me.name(path), "currentDocument": {"exists": exists}}))


def test_a_guest_is_a_user_with_their_own_data_only(world: World) -> None:
    """A user who signed in anonymously reads what is theirs, nobody else's, and writes nothing."""
    guest = RulesClient.of_new_guest(world.project.id)
    assert guest.claims()["firebase"]["sign_in_provider"] == "anonymous"
    for collection, places in PERSONAL.items():
        own, others = places(uid_of(guest)), places(world.other)
        world.put(own)
        for operation in READS:
            allowed = operation in ALLOWED.get((collection, "own"), ())
            assert perform(guest, operation, own).status_code == (200 if allowed else 403), (collection, operation)
            assert_denied(perform(guest, operation, others))
        for operation in ("update", "delete"):
            assert_denied(perform(guest, operation, own))
        assert world.project.get(own.path) == own.fields


ODD_IDS = {
    "a path to another's entry": "{other}/transactions/{run}",
    "a path to another": "../users/{other}",
    "a longer path": "x/../{other}",
    "percent signs": "%72{rest}",
    "capitals": "{upper}",
    "a wildcard": "*{run}",
    "a recursive wildcard": "{{x=**}}{run}",
    "a pattern": "{run}.*",
    "a part of the id": "{run}",
    "code": "{other}' || true || '",
    "a quote": '{run}" || "1" == "1',
    "an interpolation": "$({run})",
    "letters of elsewhere": "{run}-ünïcode-日本",
}


@pytest.mark.parametrize("kind", ODD_IDS)
def test_an_odd_user_id_opens_nothing_of_others(world: World, kind: str) -> None:
    """An account may be named like a path or a pattern: it is compared as it is, and matches only its own."""
    names = {"other": world.other, "run": RUN, "rest": world.other[1:], "upper": world.other.upper()}
    odd = RulesClient.of_new_account(world.project.id, ODD_IDS[kind].format(**names))
    for name in ("users", "transactions", "generationRequests"):
        others = PERSONAL[name](world.other)
        world.put(others)
        for operation in READS:
            assert_denied(perform(odd, operation, others))
    # A slash makes it a path, so that it can have no documents.
    if "/" not in uid_of(odd):
        own = PERSONAL["users"](uid_of(odd))
        world.put(own)
        assert odd.get(own.path).json()["fields"] == {"credits": {"integerValue": "5"}}
