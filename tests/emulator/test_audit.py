"""scripts/audit.py as an operator runs it."""

import subprocess
import sys

from contract import order
from projects import SCRIPTS, Project
from servers import FunctionServer


def audit(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPTS / "audit.py"), "--project", project.id, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_audit_names_what_is_wrong_and_exits_1(project: Project) -> None:
    """Good books: exit 0. A tampered balance and a request of nobody: both named, exit 1; one user alone likewise."""
    ann, bob = project.add_user(10), project.add_user(10)
    with FunctionServer("createGenerationRequest", project.id) as server:
        for user_id in (ann, bob, bob):
            assert server.post(order(user_id)).status_code == 200
    before = project.everything()
    clean = audit(project)
    assert (clean.returncode, clean.stdout) == (0, "2 users audited, 0 violations.\n")
    assert project.everything() == before

    project.client.document(f"users/{bob}").update({"credits": 9})
    project.client.document("generationRequests/stray").set({"userId": "nobody"})
    broken = audit(project)
    assert broken.returncode == 1
    assert f"users/{bob}: credits is 9, expected 8" in broken.stdout
    assert "generationRequests/stray" in broken.stdout
    assert ann not in broken.stdout
    assert (audit(project, "--user", ann).returncode, audit(project, "--user", bob).returncode) == (0, 1)


def test_an_unknown_user_is_a_violation(project: Project) -> None:
    """Auditing a user who does not exist does not pass as good."""
    assert audit(project, "--user", "nobody").returncode == 1
