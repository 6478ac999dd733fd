"""The ports of a run of the emulators, and how it ends; in the venv of dev/, which has packages that tests have not."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev import ROOT

TOOLS = ROOT / ".toolchain" / "tools-venv" / "bin" / "python"
SHIPPED = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["emulators"]


def printed(code: str, *arguments: str) -> Any:
    """The JSON that this code prints."""
    command = [str(TOOLS), "-c", f"import json\n{code}", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout)


def test_a_start_uses_the_ports_of_firebase_json() -> None:
    """Those that the README names, Cloud Tasks too; a start checks that each is free."""
    ports = printed("from dev import emulators; print(json.dumps(emulators.start_ports()))")
    assert ports == {name: SHIPPED[name]["port"] for name in ("auth", "functions", "firestore", "tasks")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "functions on 5001, Firestore 8080, Auth 9099, Tasks 9499" in readme
    assert {*ports.values()} == {5001, 8080, 9099, 9499}


def test_only_what_a_run_can_do_without_moves_to_another_port() -> None:
    """The Emulator UI, the Storage emulator and the console; the addresses of the others are in people's programs."""
    show = "print(json.dumps(emulators.start_ports(*emulators.OPTIONAL, is_taken=lambda port: {taken})))"
    all_free = printed(f"from dev import emulators; {show.format(taken=False)}")
    assert all_free == {name: SHIPPED[name]["port"] for name in all_free}
    all_taken = printed(f"from dev import emulators; {show.format(taken=True)}")
    assert all_taken.keys() == all_free.keys()
    moved = {name for name in all_free if all_taken[name] != all_free[name]}
    assert moved == {"ui", "storage", "hosting"}
    assert not {*map(all_taken.get, moved)} & {*all_free.values()}


def test_the_run_of_the_tests_has_ports_of_its_own_and_tells_them() -> None:
    """None of the user's, so that both can run at once."""
    show = "from dev import emulators; run = emulators.for_tests(); print(json.dumps([run.ports, run.addresses]))"
    ports, addresses = printed(show)
    assert len({*ports.values()}) == len(ports)
    assert not {emulator["port"] for emulator in SHIPPED.values()} & {*ports.values()}
    assert addresses["CLOUD_TASKS_EMULATOR_HOST"] == f"127.0.0.1:{ports['tasks']}"


def test_only_the_files_of_runs_that_have_ended_are_removed(tmp_path: Path) -> None:
    """A run that was killed could not remove them. What it had exported stays, and so does what is not a run's."""
    with subprocess.Popen(["true"]) as ended:
        pass
    gone, here = ended.pid, os.getpid()
    stay = [f".firebase-start-{here}.json", f".emulator/tests-{here}", f".emulator/start-{gone}-export"]
    stay += [f".emulator/start-{gone}-replaced", ".emulator/export", ".firebase-mine.json"]
    for name in (*stay, f".firebase-start-{gone}.json", f".emulator/start-{gone}", f".emulator/trial-{gone}"):
        (tmp_path / name / "file").parent.mkdir(parents=True)
        (tmp_path / name / "file").touch()
    (tmp_path / f".firebase-tests-{gone}.json").touch()
    remove = "from pathlib import Path; from dev import emulators; emulators.remove_leftovers(Path(sys.argv[1]))"
    printed(f"import sys; {remove}; print(1)", str(tmp_path))
    assert {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("file")} == {*stay}
    assert not (tmp_path / f".firebase-tests-{gone}.json").exists()


POLICY_OF_A_RUN = """
import sys
from dev import ROOT, emulators, hosting

run = emulators.EmulatorRun("start-1", "demo-x", dict(zip(sys.argv[1:], range(1, len(sys.argv)))), {})
[policy] = [
    header["value"]
    for rule in run.config(ROOT / ".emulator" / "start-1")["hosting"]["headers"]
    for header in rule["headers"]
    if header["key"] == hosting.POLICY and rule["source"] == "**"
]
print(json.dumps(policy.split("; ")))
"""


@pytest.mark.parametrize("optional", [(), ("storage",)])
def test_the_console_may_show_what_the_runs_emulators_hold(optional: tuple[str, ...]) -> None:
    """With real models, that is the pictures in the Storage emulator too."""
    names = ("auth", "functions", "firestore", *optional)
    policy = printed(POLICY_OF_A_RUN, *names, "Firestore websocket")
    urls = " ".join(f"http://127.0.0.1:{port}" for port in range(1, len(names) + 1))
    for directive in ("img-src", "connect-src"):
        [opened] = [each for each in policy if each.startswith(directive)]
        assert opened.endswith(f" {urls}"), opened


# Like the CLI with tasks in a queue: asked to stop, it saves and then goes on.
SAVES_AND_GOES_ON = """
import signal, sys, time
from pathlib import Path

def save(*_):
    Path(sys.argv[2]).touch()
    time.sleep(600)

signal.signal(signal.SIGINT, save)
Path(sys.argv[1]).touch()
time.sleep(600)
"""
STOPS_IT = """
import sys, time
from pathlib import Path
from dev import supervise

ready, saved = map(Path, sys.argv[2:])
with supervise.started([sys.executable, "-c", *sys.argv[1:]], {}, grace_seconds=300, is_done=saved.exists) as process:
    while not ready.exists():
        time.sleep(0.02)
print(json.dumps([saved.exists(), process.poll()]))
"""


def test_a_command_that_has_saved_its_data_is_waited_for_no_longer(tmp_path: Path) -> None:
    """It is asked to stop, may do what the grace is for, and is killed long before the grace ends."""
    assert printed(STOPS_IT, SAVES_AND_GOES_ON, str(tmp_path / "ready"), str(tmp_path / "saved")) == [True, -9]
