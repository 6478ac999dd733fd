"""Accounts in the Auth emulator, and ID tokens as it issues them or with something wrong in them."""

import base64
import json
import os
import time
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

import firebase_admin
import requests
from firebase_admin import auth

HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Account:
    """One account of a project in the Auth emulator."""

    project_id: str
    user_id: str
    is_admin: bool = False

    @classmethod
    def new(cls, project_id: str, user_id: str | None = None, is_admin: bool = False) -> "Account":
        account = cls(project_id, user_id or f"user-{uuid.uuid4().hex[:8]}", is_admin)
        app = app_of(project_id)
        auth.create_user(uid=account.user_id, email=f"{account.user_id.lower()}@example.com", app=app)
        if is_admin:
            auth.set_custom_user_claims(account.user_id, {"admin": True}, app=app)
        return account

    def disable(self) -> "Account":
        auth.update_user(self.user_id, disabled=True, app=app_of(self.project_id))
        return self

    def delete(self) -> "Account":
        auth.delete_user(self.user_id, app=app_of(self.project_id))
        return self

    def revoke(self) -> "Account":
        """Makes every token that was issued before now worthless."""
        auth.revoke_refresh_tokens(self.user_id, app=app_of(self.project_id))
        return self

    def token(self, age_seconds: int = 0, **claims: Any) -> str:
        """An ID token of this account, issued `age_seconds` ago (below 0: in the future), with these claims changed."""
        issued_at = int(time.time()) - age_seconds
        return unsigned(
            {
                "iss": f"https://securetoken.google.com/{self.project_id}",
                "aud": self.project_id,
                "sub": self.user_id,
                "user_id": self.user_id,
                "iat": issued_at,
                "auth_time": issued_at,
                "exp": issued_at + HOUR_SECONDS,
                "email": f"{self.user_id.lower()}@example.com",
                "firebase": {"identities": {}, "sign_in_provider": "password"},
                **({"admin": True} if self.is_admin else {}),
                **claims,
            }
        )

    def headers(self, **claims: Any) -> dict[str, str]:
        return bearer(self.token(**claims))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def unsigned(payload: Any) -> str:
    """A token as the Auth emulator makes them: without a signature."""
    parts = [{"alg": "none", "typ": "JWT"}, payload]
    return ".".join([*(_segment(part) for part in parts), ""])


def _segment(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed_in(method: str, **body: str) -> dict[str, str]:
    """A real sign-in to the Auth emulator's own project, by this method of its API: `localId`, `idToken` and more."""
    host = os.environ["FIREBASE_AUTH_EMULATOR_HOST"]
    url = f"http://{host}/identitytoolkit.googleapis.com/v1/accounts:{method}?key=any"
    response = requests.post(url, json={**body, "returnSecureToken": True}, timeout=30)
    response.raise_for_status()
    answer: dict[str, str] = response.json()
    return answer


@cache
def app_of(project_id: str) -> firebase_admin.App:
    """The Admin SDK's view of a project."""
    return firebase_admin.initialize_app(options={"projectId": project_id}, name=f"identities-{project_id}")
