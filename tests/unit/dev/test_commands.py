"""The commands that people run, in shells and on machines that are not what they expect."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dev import ROOT
from tests.support.servers import wait_until

COMMANDS = (
    "start-emulator.sh",
    "run-tests.sh",
    "benchmarks/run.sh",
    "dev/make-emulator-data.sh",
    "dev/pin-requirements.sh",
    "dev/vendor.sh",
)


def program(folder: Path, name: str, text: str) -> None:
    """A program on the PATH that this folder is put in front of."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def ran(*command: str, cwd: Path = ROOT, **env: str) -> "subprocess.CompletedProcess[str]":
    whole = {**os.environ, **env}
    return subprocess.run(command, cwd=cwd, env=whole, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("system", ["MINGW64_NT-10.0-22631", "MSYS_NT-10.0", "CYGWIN_NT-10.0"])
@pytest.mark.parametrize("command", ["start-emulator.sh", "run-tests.sh"])
def test_on_windows_one_line_says_to_use_wsl(tmp_path: Path, command: str, system: str) -> None:
    """Git Bash, MSYS and Cygwin: nothing is installed or started."""
    program(tmp_path / "bin", "uname", f"echo {system}")
    done = ran(f"./{command}", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "WSL" in done.stderr


def test_the_scripts_lines_end_as_bash_wants_them() -> None:
    """Git on Windows would check them out with other ends, which WSL's bash does not run."""
    scripts = [*COMMANDS, "dev/launch.sh", ".ci/run"]
    assert [script for script in scripts if b"\r" in (ROOT / script).read_bytes()] == []
    asked = ran("git", "check-attr", "eol", "--", *scripts)
    if asked.returncode:
        pytest.skip("git knows nothing of this folder")
    assert asked.stdout.splitlines() == [f"{script}: eol: lf" for script in scripts]


@pytest.mark.parametrize("command", ["start-emulator.sh", "run-tests.sh"])
def test_the_shells_search_path_for_folders_changes_nothing(tmp_path: Path, command: str) -> None:
    """With CDPATH set, cd prefers a folder of the same name elsewhere, and prints it."""
    decoy = tmp_path / "elsewhere" / ROOT.name
    (decoy / "dev").mkdir(parents=True)
    (decoy / "dev" / "launch.sh").write_text("launch() { echo decoy; }\n", encoding="utf-8")
    program(tmp_path / "bin", "uname", "echo MSYS_NT")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = ran("bash", f"{ROOT.name}/{command}", cwd=ROOT.parent, CDPATH=str(decoy.parent), PATH=path)
    assert (done.stdout, "WSL" in done.stderr) == ("", True)


# Makes a venv once it may go on, and otherwise is the Python that it stands for.
SLOW_PYTHON = """
case "$*" in
*sys.executable*) echo "$0" ;;
*"-m venv "*)
    echo made >>made
    while [ ! -e go_on ]; do sleep 0.02; done
    mkdir -p "$3/bin" && ln -s "$PWD/bin/python3.13" "$3/bin/python" ;;
*"-m pip "*) ;;
*) exec {python} "$@" ;;
esac
"""


def test_two_first_commands_at_once_make_one_venv(tmp_path: Path) -> None:
    """The second waits, and says so: to replace the venv of the first would break what runs in it already."""
    for name in ("launch.sh", "requirements.txt"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).write_bytes((ROOT / "dev" / name).read_bytes())
    program(tmp_path / "bin", "python3.13", SLOW_PYTHON.format(python=sys.executable))
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", "-c", "set -eu; source dev/launch.sh && launch json.tool go_on"]
    made, said = tmp_path / "made", tmp_path / "said"

    def started() -> "subprocess.Popen[bytes]":
        with said.open("ab") as output:
            return subprocess.Popen(command, cwd=tmp_path, env=env, stdout=output, stderr=output)

    def has_met_the_first() -> bool:
        return "Waiting for another command" in said.read_text("utf-8") or made.read_text("utf-8").count("made") > 1

    first = started()
    try:
        wait_until(made.exists, "the first one's venv", 120)
        second = started()
        wait_until(has_met_the_first, "the second one", 120)
    finally:
        (tmp_path / "go_on").write_text("[]", encoding="utf-8")
        first.wait(60)
    second.wait(60)
    assert (first.returncode, second.returncode) == (0, 0), said.read_text("utf-8")
    assert made.read_text("utf-8") == "made\n"


def test_every_ci_server_runs_the_same_command() -> None:
    """GitHub's too."""
    [workflow] = (ROOT / ".github" / "workflows").iterdir()
    [job] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step and "if" not in step] == [".ci/run"]


def test_ci_goes_on_without_a_browser(tmp_path: Path) -> None:
    """Where Debian's chromium is missing and cannot be installed, it says so and runs the tests all the same."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    program(tmp_path, "run-tests.sh", 'echo "tests $*"')
    for name in ("apt-get", "sudo"):
        program(tmp_path / "bin", name, "exit 1")
    for name in ("bash", "dirname", "id"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = ran("bash", str(tmp_path / ".ci" / "run"), PATH=str(tmp_path / "bin"))
    said = "chromium could not be installed: the tests that need a browser are skipped.\ntests --thorough\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr
