"""Loads the catalog and, on request, the first users, into an emulator or a real project.

Adds and updates what the file names; a user who exists keeps their balance. Uses the emulator if
FIRESTORE_EMULATOR_HOST is set, otherwise the project, with Application Default Credentials.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import firebase_admin
from firebase_admin import auth
from google.api_core.exceptions import AlreadyExists
from google.cloud import firestore

from project_client import project_client

SEED = Path(__file__).with_name("seed.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="the Firebase project's id")
    parser.add_argument("--file", type=Path, default=SEED, help="what to load (default: scripts/seed.json)")
    parser.add_argument("--users", action="store_true", help="also create the users with their opening balances")
    parser.add_argument("--accounts", action="store_true", help="also create the users' accounts in the Auth emulator")
    options = parser.parse_args()
    if options.accounts and "FIREBASE_AUTH_EMULATOR_HOST" not in os.environ:
        sys.exit("--accounts is for the Auth emulator, whose passwords everybody knows.")
    seed = json.loads(options.file.read_text(encoding="utf-8"))
    client = project_client(options.project)
    load_catalog(client, seed)
    print(f"Catalog: {len(seed['styles'])} styles, {len(seed['colors'])} colors, {len(seed['sizes'])} sizes.")
    if options.users:
        load_users(client, seed["users"])
    if options.accounts:
        load_accounts(options.project, seed["users"])


def load_catalog(client: firestore.Client, seed: dict[str, Any]) -> None:
    """Writes every style, color and size in one commit; options that the file does not name stay."""
    batch = client.batch()
    for collection in ("styles", "colors"):
        for name in seed[collection]:
            batch.set(client.document(f"{collection}/{name}"), {})
    for name, credits in seed["sizes"].items():
        batch.set(client.document(f"sizes/{name}"), {"credits": credits})
    batch.commit()


def load_users(client: firestore.Client, users: dict[str, int]) -> None:
    """Creates each user with the opening balance, unless the user exists."""
    for user_id, credits in users.items():
        try:
            client.document(f"users/{user_id}").create({"credits": credits})
            print(f"User {user_id}: created with {credits} credits.")
        except AlreadyExists:
            print(f"User {user_id}: exists, left as it is.")


def load_accounts(project: str, users: dict[str, int]) -> None:
    """Creates one account a user, uid = user id, password = user id."""
    app = firebase_admin.initialize_app(options={"projectId": project})
    for user_id in users:
        try:
            auth.create_user(uid=user_id, email=f"{user_id.lower()}@example.com", password=user_id, app=app)
            print(f"Account {user_id}: created.")
        except auth.UidAlreadyExistsError:
            print(f"Account {user_id}: exists, left as it is.")


if __name__ == "__main__":
    main()
