"""The operators' scripts in a shell with proxies, which do not find what is on this machine."""

import os
import subprocess
import sys
import uuid

from dev.ports import free_ports
from tests.support.identities import signed_in
from tests.support.projects import SCRIPTS, Project

DEAD = f"http://127.0.0.1:{free_ports(1)[0]}"
PROXIES = {variable: DEAD for name in ("http_proxy", "https_proxy", "all_proxy") for variable in (name, name.upper())}


def run(script: str, project_id: str, *arguments: str) -> None:
    command = [sys.executable, str(SCRIPTS / script), "--project", project_id, *arguments]
    env = {**os.environ, **PROXIES}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_firestores_scripts_reach_the_emulator_past_the_proxy(project: Project) -> None:
    """Through gRPC."""
    run("seed.py", project.id, "--users")
    run("audit.py", project.id)


def test_auths_script_reaches_the_emulator_past_the_proxy() -> None:
    """Through HTTP."""
    user = signed_in("signUp", email=f"{uuid.uuid4().hex}@example.com", password="secret-1")
    run("make_admin.py", os.environ["GCLOUD_PROJECT"], user["localId"])
