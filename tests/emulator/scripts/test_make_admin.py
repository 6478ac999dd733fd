"""scripts/make_admin.py as an operator runs it, and what real sign-ins give afterwards."""

import os
import subprocess
import sys
import uuid

import firebase_admin
import pytest
import requests
from firebase_admin import auth

from dev.ports import free_ports
from tests.support.assembly import in_process
from tests.support.contract import error_of
from tests.support.identities import app_of, bearer, signed_in
from tests.support.projects import SCRIPTS, Project

PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def app() -> firebase_admin.App:
    """The project in which the Auth emulator signs people in."""
    return app_of(os.environ["GCLOUD_PROJECT"])


def make_admin(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    script = [sys.executable, str(SCRIPTS / "make_admin.py"), "--project", os.environ["GCLOUD_PROJECT"], *arguments]
    return subprocess.run(script, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)


def sign_in(email: str) -> str:
    return signed_in("signInWithPassword", email=email, password=PASSWORD)["idToken"]


def test_an_admin_is_made_and_unmade(app: firebase_admin.App) -> None:
    """After the next sign-in the user may grant; after --remove no longer; other claims stay."""
    user_id = f"chief-{uuid.uuid4().hex[:8]}"
    email = f"{user_id}@example.com"
    auth.create_user(uid=user_id, email=email, email_verified=True, password=PASSWORD, app=app)
    auth.set_custom_user_claims(user_id, {"plan": "gold"}, app)
    project = Project(os.environ["GCLOUD_PROJECT"])
    grant_credits = in_process(project, REQUIRE_AUTH="true").of("grantCredits")

    def grant(token: str) -> requests.Response:
        body = {"userId": user_id, "credits": 1, "reason": "test"}
        return grant_credits.post(body, {**bearer(token), "Idempotency-Key": user_id})

    assert error_of(grant(sign_in(email)))["code"] == 403
    made = make_admin(email)
    assert (made.returncode, made.stdout) == (0, f"User {user_id} is an admin from the next sign-in on.\n"), made.stderr
    assert grant(sign_in(email)).status_code == 200
    assert project.entries(user_id)[0]["grantedBy"] == user_id
    assert make_admin("--remove", user_id).returncode == 0
    assert error_of(grant(sign_in(email)))["code"] == 403
    assert auth.get_user(user_id, app).custom_claims == {"plan": "gold"}


def test_an_address_that_nobody_verified_makes_no_admin(app: firebase_admin.App) -> None:
    """Anybody can sign up with somebody else's address; the id says who is meant."""
    user_id = f"stranger-{uuid.uuid4().hex[:8]}"
    auth.create_user(uid=user_id, email=f"{user_id}@example.com", app=app)
    refused = make_admin(f"{user_id}@example.com")
    assert refused.returncode == 1
    assert f"user {user_id}" in refused.stderr
    assert auth.get_user(user_id, app).custom_claims is None
    assert make_admin(user_id).returncode == 0


def test_an_unknown_user_is_named() -> None:
    """One clear line and exit 1."""
    done = make_admin("nobody@example.com")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{os.environ['GCLOUD_PROJECT']} has no user nobody@example.com.\n"


def test_an_emulator_that_is_down_is_named() -> None:
    """One clear line and exit 1."""
    host = f"127.0.0.1:{free_ports(1)[0]}"
    done = make_admin("testUser1", FIREBASE_AUTH_EMULATOR_HOST=host)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"The Auth emulator ({host}) does not answer.\n")
