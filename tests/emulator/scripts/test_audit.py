"""scripts/audit.py as an operator runs it."""

import subprocess
import sys

from tests.support.assembly import assembled, audit_of, in_process
from tests.support.contract import order
from tests.support.projects import SCRIPTS, Project
from tests.support.shop import reserved


def audit(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPTS / "audit.py"), "--project", project.id, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_audit_names_what_is_wrong_and_exits_1(project: Project) -> None:
    """Consistent: exit 0, nothing written. A changed balance and a request of nobody: both named, exit 1."""
    ann, bob = project.add_user(10), project.add_user(10)
    create = in_process(project).of("createGenerationRequest")
    for user_id in (ann, bob, bob):
        assert create.post(order(user_id)).status_code == 200
    before = project.everything()
    clean = audit(project)
    assert (clean.returncode, clean.stdout) == (0, "2 users audited, 0 deleted accounts, 0 violations.\n"), clean.stderr
    assert project.everything() == before

    project.change(f"users/{bob}", credits=9)
    project.put("generationRequests/stray", {"userId": 5})
    broken = audit(project)
    assert broken.returncode == 1
    assert f"users/{bob}: credits is 9, expected 8" in broken.stdout
    assert "generationRequests/stray: belongs to no user" in broken.stdout
    assert ann not in broken.stdout
    assert "2 users audited, 0 deleted accounts, 2 violations." in broken.stdout


def test_one_user_alone_can_be_audited(project: Project) -> None:
    """A good user passes although another is broken."""
    ann, bob = project.add_user(10), project.add_user(-1)
    assert [audit(project, "--user", user).returncode for user in (ann, bob)] == [0, 1]


def test_an_audit_that_finds_nobody_is_no_success(project: Project) -> None:
    """The wrong project, or a user who does not exist, must not look like a consistent ledger."""
    project.add_user(10)
    for found in (audit(project, "--user", "nobody"), audit(Project.seeded())):
        assert (found.returncode, found.stdout) == (2, "0 users audited, 0 deleted accounts, 0 violations.\n")
        assert "Is it the right project?" in found.stderr


def test_a_deleted_account_is_named_and_no_violation(project: Project) -> None:
    """Somebody removed users/{uid}: the ledger is all that is left."""
    user_id = project.add_user(10)
    project.remove(f"users/{user_id}")
    found = audit(project)
    assert (found.returncode, found.stdout.splitlines()) == (
        0,
        [
            f"users/{user_id}: the account was deleted (no violation)",
            "1 users audited, 1 deleted accounts, 0 violations.",
        ],
    )


def test_a_request_may_be_pending_until_its_lease_and_the_grace_are_over(project: Project) -> None:
    """The sweep comes every minute, so what is pending past its lease is a violation only after that."""
    user_id = project.add_user(10)
    reserved(assembled(project).ledger, user_id, "key")
    project.expire_leases()
    assert any("is pending past its lease" in violation for violation in audit_of(project).of_user(user_id).violations)
    assert audit(project, "--user", user_id, "--grace-seconds", "3900").returncode == 0
