"""Loads the catalog and, on request, the first users, into an emulator or a real project.

Adds and updates the options that the file names; a user who does not exist yet gets the credits by a grant. Uses the
emulator if FIRESTORE_EMULATOR_HOST is set, otherwise the project, with Application Default Credentials.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import firebase_admin
from firebase_admin import auth

from api.auth import ADMIN_CLAIM
from credits import documents
from credits.grants import Grants
from credits.orders import Order
from errors import IdempotencyMismatch
from images.catalog import COLORS, SIZES, STYLES
from project_client import exit_on_store_error, project_store
from services import new_id
from store import DEFAULT_DATABASE, Commit, Store, Write

SEED = Path(__file__).with_name("seed.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="the Firebase project's id")
    parser.add_argument("--database", default=DEFAULT_DATABASE, help="the Firestore database's id, if it has a name")
    parser.add_argument("--file", type=Path, default=SEED, help="what to load (default: scripts/seed.json)")
    parser.add_argument("--users", action="store_true", help="also create the users with their opening balances")
    parser.add_argument(
        "--accounts", action="store_true", help="also create the accounts of users and admins in the Auth emulator"
    )
    options = parser.parse_args()
    if options.accounts and "FIREBASE_AUTH_EMULATOR_HOST" not in os.environ:
        sys.exit("--accounts is for the Auth emulator, whose passwords everybody knows.")
    seed = json.loads(options.file.read_text(encoding="utf-8"))
    store = project_store(options.project, options.database)
    with exit_on_store_error():
        load_catalog(store, seed)
        print(f"Catalog: {len(seed['styles'])} styles, {len(seed['colors'])} colors, {len(seed['sizes'])} sizes.")
        if options.users:
            load_users(store, seed["users"])
    if options.accounts:
        load_accounts(options.project, [*seed["users"], *seed["admins"]], seed["admins"])


def load_catalog(store: Store, seed: dict[str, Any]) -> None:
    """Writes every style, color and size in one commit; options that the file does not name stay."""
    options = [f"{collection}/{name}" for collection in (STYLES, COLORS) for name in seed[collection]]
    writes = [Write(path, {}, merges=True) for path in options]
    writes += [Write(f"{SIZES}/{name}", {"credits": credits}, merges=True) for name, credits in seed["sizes"].items()]
    store.transact([writes[0].path], lambda read: Commit(writes, lambda versions: None))


def load_users(store: Store, users: dict[str, int]) -> None:
    """Opens each user's account with a grant, unless the user exists or had one from this script before."""
    grants = Grants(store, new_id)
    for user_id, credits in users.items():
        if store.read_one(documents.user_path(user_id)).exists:
            print(f"User {user_id}: exists, left as it is.")
            continue
        try:
            granted = grants.grant(Order.with_key("seed", user_id, credits, "Opening balance."))
            was_deleted = granted.is_replay
        except IdempotencyMismatch:
            was_deleted = True
        state = "was deleted, left as it is" if was_deleted else f"created with {credits} credits"
        print(f"User {user_id}: {state}.")


def load_accounts(project: str, user_ids: Sequence[str], admins: Sequence[str]) -> None:
    """Creates an account for each user, with the user id as its uid and its password."""
    app = firebase_admin.initialize_app(options={"projectId": project})
    for user_id in user_ids:
        try:
            auth.create_user(uid=user_id, email=f"{user_id.lower()}@example.com", password=user_id, app=app)
            print(f"Account {user_id}: created.")
        except auth.UidAlreadyExistsError:
            print(f"Account {user_id}: exists, left as it is.")
        if user_id in admins:
            auth.set_custom_user_claims(user_id, {ADMIN_CLAIM: True}, app)


if __name__ == "__main__":
    main()
