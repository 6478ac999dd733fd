"""Sets or removes the custom claim that makes a user an admin.

Uses the Auth emulator if FIREBASE_AUTH_EMULATOR_HOST is set, otherwise the project, with Application Default
Credentials. A token keeps the claims of the time it was issued, so a new admin must sign in again. Removing the claim
takes effect at once, since it revokes the user's tokens.
"""

import argparse
import os
import sys

import firebase_admin
from firebase_admin import auth
from firebase_admin.exceptions import FirebaseError, UnavailableError
from google.auth.exceptions import DefaultCredentialsError

from api.auth import ADMIN_CLAIM
from project_client import exit_without_credentials, reach_emulators


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, help="the Firebase project's id")
    parser.add_argument("--remove", action="store_true", help="take the claim away and revoke the user's tokens")
    parser.add_argument("user", help="the user's id, or an e-mail address")
    options = parser.parse_args()
    reach_emulators()
    app = firebase_admin.initialize_app(options={"projectId": options.project})
    try:
        print(set_admin(options.user, not options.remove, app))
    except auth.UserNotFoundError:
        print(f"{options.project} has no user {options.user}.", file=sys.stderr)
        return 1
    except DefaultCredentialsError:
        exit_without_credentials("FIREBASE_AUTH_EMULATOR_HOST=127.0.0.1:9099")
    except UnavailableError:
        emulator = os.environ.get("FIREBASE_AUTH_EMULATOR_HOST")
        where = f"The Auth emulator ({emulator})" if emulator else "Firebase Authentication"
        print(f"{where} does not answer.", file=sys.stderr)
        return 1
    except (FirebaseError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def set_admin(user: str, is_admin: bool, app: firebase_admin.App) -> str:
    """Sets or removes the claim, leaving the user's other claims as they are; says what the user has to do."""
    found = one_user(user, is_admin, app)
    claims = {name: value for name, value in (found.custom_claims or {}).items() if name != ADMIN_CLAIM}
    if is_admin:
        auth.set_custom_user_claims(found.uid, {**claims, ADMIN_CLAIM: True}, app)
        return f"User {found.uid} is an admin from the next sign-in on."
    auth.set_custom_user_claims(found.uid, claims, app)
    auth.revoke_refresh_tokens(found.uid, app)
    return f"User {found.uid} is not an admin any more and must sign in again."


def one_user(user: str, is_admin: bool, app: firebase_admin.App) -> auth.UserRecord:
    """The user with this id or, if there is none, this e-mail address.

    Raises:
        UserNotFoundError: there is none.
        ValueError: somebody registered this address, but it is not verified.
    """
    try:
        return auth.get_user(user, app)
    except auth.UserNotFoundError:
        if "@" not in user:
            raise
    found = auth.get_user_by_email(user, app)
    # Anybody can sign up with an address that is not theirs, so it counts only once it is verified.
    if is_admin and not found.email_verified:
        raise ValueError(f"The address {user} is not verified. If you mean user {found.uid}, give that id.")
    return found


if __name__ == "__main__":
    sys.exit(main())
