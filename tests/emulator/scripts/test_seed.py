"""scripts/seed.py as an operator runs it."""

import subprocess
import sys

from tests.support.assembly import audit_of
from tests.support.projects import SCRIPTS, Project


def seed(project: Project, *arguments: str) -> str:
    command = [sys.executable, str(SCRIPTS / "seed.py"), "--project", project.id, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def fields(project: Project) -> dict[str, object]:
    return {path: document.get("fields") for path, document in project.everything().items()}


def test_the_catalog_and_the_first_users_are_loaded() -> None:
    """The shipped catalog, and the users of seed.json, whose balances come from a grant: the audit finds no fault."""
    project, expected = Project.empty(), Project.seeded()
    assert "6 styles, 5 colors, 3 sizes" in seed(project, "--users")
    catalog = {path: its for path, its in fields(project).items() if path.startswith(("styles/", "colors/", "sizes/"))}
    assert catalog == fields(expected)
    assert (project.balance("testUser1"), project.balance("testUser2")) == (100, 10)
    audited = list(audit_of(project).of_all_users())
    assert [(each.user_id, each.violations) for each in audited] == [("testUser1", []), ("testUser2", [])]


def test_what_was_sold_since_stays() -> None:
    """Loaded again: prices are those of the file, other options stay, and so do balances."""
    project = Project.seeded()
    project.put("sizes/512x512", {"credits": 9})
    project.put("styles/pixel art", {})
    project.add_user(3, "testUser1")
    assert "testUser1: exists" in seed(project, "--users")
    assert project.get("sizes/512x512") == {"credits": 1}
    assert project.get("styles/pixel art") == {}
    assert (project.balance("testUser1"), project.balance("testUser2")) == (3, 10)


def test_a_user_who_was_deleted_is_not_created_again() -> None:
    """The opening balance is given once, also if the file has another one by now."""
    project = Project.empty()
    seed(project, "--users")
    project.remove("users/testUser1")
    assert "testUser1: was deleted" in seed(project, "--users")
    assert project.balance("testUser1") is None
