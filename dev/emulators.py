"""One run of the emulators: its ports, its settings, its generated configuration, and the wait until it is ready."""

import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from dev import LOGS, ROOT, Problem, environment, hosting, settings, supervise
from dev.file_lock import Lock
from dev.ports import HOST, free_ports, is_taken, need_free
from dev.readiness import Readiness
from dev.settings import REFUSED, SECRETS
from dev.supervise import TICK_SECONDS, Process, write

DATA = ROOT / "emulator-data"
DEMO_PROJECT = "demo-case-study"
EMULATORS = ("auth", "functions", "firestore", "tasks")
# What a run can do without: the Emulator UI, the Storage emulator, and the console's page.
OPTIONAL = ("ui", "storage", "hosting")
# What the console's page talks to, and where it finds the pictures of real models.
FOR_PAGES = ("auth", "functions", "firestore", "storage")
# What else the CLI listens on. Any port will do, and with free ones two runs never fight.
OTHERS = ("hub", "logging", "eventarc")
WEBSOCKET = "Firestore websocket"
# A run's name ends in the id of its program.
RUN_FILE = re.compile(r"(?:\.firebase-)?[a-z]+-(\d+)(?:\.json)?")
READY_SECONDS = 120.0
DISCOVERY_SECONDS = 60
TAIL_LINES = 25
# The CLI goes on without any function when main.py cannot be loaded. The cause comes before this, a table after it.
LOAD_ERROR = b"Failed to load function definition"
LOADED = b"Loaded functions definitions"


@dataclass(frozen=True)
class EmulatorRun:
    """One run of the emulators; its files have its name."""

    name: str
    project: str
    ports: dict[str, int]
    settings: dict[str, str]
    data: Path = DATA
    # For the functions alone, not for the CLI.
    proxies: Mapping[str, str] = field(default_factory=dict)
    # Otherwise the next run of its kind writes to the same log.
    has_own_log: bool = False

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name if self.has_own_log else self.name.partition('-')[0]}-emulators.log"

    @property
    def export(self) -> Path:
        """Where the CLI saves the data if it is asked to."""
        return ROOT / ".emulator" / f"{self.name}-export"

    @property
    def functions_url(self) -> str:
        return f"http://{self.address('functions')}/{self.project}/{self.region}"

    @property
    def region(self) -> str:
        return self.settings.get("REGION", "us-central1")

    @property
    def addresses(self) -> dict[str, str]:
        """Where a test or a benchmark finds it, as environment variables."""
        return {
            "FUNCTIONS_BASE_URL": self.functions_url,
            "FIRESTORE_EMULATOR_HOST": self.address("firestore"),
            "FIREBASE_AUTH_EMULATOR_HOST": self.address("auth"),
            "CLOUD_TASKS_EMULATOR_HOST": self.address("tasks"),
            "GCLOUD_PROJECT": self.project,
        }

    @property
    def _api_base_url(self) -> str:
        return self.settings.get("API_BASE_URL") or self.functions_url

    def address(self, emulator: str) -> str:
        return f"{HOST}:{self.ports[emulator]}"

    def check_settings(self) -> None:
        """Raises Problem if the functions would refuse a setting; starting the emulators to learn it takes long."""
        told = {"FUNCTIONS_EMULATOR": "true"}
        if "storage" in self.ports:
            # As the CLI tells the functions when it starts them.
            told["STORAGE_EMULATOR_HOST"] = f"http://{self.address('storage')}"
            told["FIREBASE_CONFIG"] = json.dumps({"storageBucket": f"{self.project}.appspot.com"})
        settings.check(self.settings, {**environment.clean_env(), **self.addresses, **told})

    @contextmanager
    def started(
        self, cli: str, env: Mapping[str, str], *options: str, grace_seconds: float = 0.0
    ) -> Iterator[tuple[Process, BinaryIO]]:
        """The running CLI, and its log for reading. The files of the run are gone afterwards, but for an export.

        Raises:
            Problem: a port is taken.
        """
        work_dir, config_file = ROOT / ".emulator" / self.name, ROOT / f".firebase-{self.name}.json"
        only = ",".join(name for name in (*OPTIONAL, *EMULATORS) if name in self.ports)
        command = [cli, "emulators:start", "--project", self.project, "--config", str(config_file), "--only", only]
        command += ["--import", str(self.data), *options]
        # The CLI sets no more than GCLOUD_PROJECT, which the libraries read last, and gives a function 30 s to load.
        told = {
            "FUNCTIONS_EMULATOR": "true",
            "GOOGLE_CLOUD_PROJECT": self.project,
            "TMPDIR": str(work_dir),
            # It keeps its login and its notes here, and nothing works if it cannot.
            "XDG_CONFIG_HOME": str(work_dir),
            "FUNCTIONS_DISCOVERY_TIMEOUT": str(DISCOVERY_SECONDS),
        }
        with _turn() as turn:
            need_free(self.ports)
            remove_leftovers()
            try:
                shutil.rmtree(work_dir, ignore_errors=True)
                work_dir.mkdir(parents=True)
                # The settings and the CLI's logs there have the secrets of the run.
                work_dir.chmod(0o700)
                lines = settings.written({**self.proxies, **self.settings, "API_BASE_URL": self._api_base_url})
                (work_dir / f".env.{self.project}").write_text(lines, encoding="utf-8")
                config_file.write_text(json.dumps(self.config(work_dir), indent=2), encoding="utf-8")
                with (
                    # With tasks in a queue, the CLI goes on for a minute after it has saved the data.
                    supervise.started(
                        command, {**env, **told}, work_dir, self.log, grace_seconds, self._has_export
                    ) as process,
                    self.log.open("rb") as log,
                ):
                    threading.Thread(target=_end_turn, args=(turn, process, self.log), daemon=True).start()
                    yield process, log
            finally:
                config_file.unlink(missing_ok=True)
                shutil.rmtree(work_dir, ignore_errors=True)

    def config(self, work_dir: Path) -> Any:
        """The firebase.json of this run, whose settings files are in this folder."""
        config = _firebase_json()
        emulators = config["emulators"]
        for name, port in self.ports.items():
            if name != WEBSOCKET:
                emulators.setdefault(name, {"host": HOST})["port"] = port
        emulators["ui"]["enabled"] = "ui" in self.ports
        urls = [f"http://{self.address(name)}" for name in FOR_PAGES if name in self.ports]
        config["hosting"] = hosting.for_run(config["hosting"], self.region, urls)
        emulators["firestore"]["websocketPort"] = self.ports[WEBSOCKET]
        emulators["singleProjectMode"] = self.project == DEMO_PROJECT
        for codebase in config["functions"]:
            codebase["configDir"] = str(work_dir.relative_to(ROOT))
        return config

    def wait_until_ready(self, process: Process, log: BinaryIO) -> None:
        """Waits until a function has read the catalog.

        Raises:
            Problem: none will.
        """
        require_app_check = self.settings.get("REQUIRE_APP_CHECK") == "true"
        readiness = Readiness(self.functions_url, f"http://{self.address('auth')}", require_app_check=require_app_check)
        said, deadline = b"", time.monotonic() + READY_SECONDS
        while not readiness.reached():
            status = process.poll()
            said += log.read()
            if LOAD_ERROR in said:
                problem = "The functions could not be loaded."
                said = said[: said.index(LOAD_ERROR)]
            elif status is not None:
                problem = f"The emulators stopped while starting, with status {status}."
            elif time.monotonic() > deadline:
                problem = f"The functions did not get ready within {READY_SECONDS:.0f} s. {readiness.last}"
            else:
                time.sleep(TICK_SECONDS)
                continue
            if refused := REFUSED.search(said):
                problem = refused[1].decode(errors="replace")
            else:
                write(b"\n".join(said.splitlines()[-TAIL_LINES:]) + b"\n")
            raise Problem(f"{problem} Log: {self.log.relative_to(ROOT)}")

    def _has_export(self) -> bool:
        # The CLI moves an export to its place when it is whole.
        return (self.export / "firebase-export-metadata.json").is_file()

    def keep_export(self) -> bool:
        """Puts what the CLI has saved in the place of the run's data; False if it has not saved everything."""
        if not self._has_export():
            shutil.rmtree(self.export, ignore_errors=True)
            return False
        replaced = self.export.with_name(f"{self.name}-replaced")
        self.data.rename(replaced)
        self.export.rename(self.data)
        shutil.rmtree(replaced)
        return True


def remove_leftovers(root: Path = ROOT) -> None:
    """Removes the files of runs whose program was killed. An export stays: it may be the only copy of the data."""
    for path in (*root.glob(".firebase-*.json"), *(root / ".emulator").glob("*")):
        named = RUN_FILE.fullmatch(path.name)
        if named is None or psutil.pid_exists(int(named[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def start_ports(*optional: str, is_taken: Callable[[int], bool] = is_taken) -> dict[str, int]:
    """The user's ports, from firebase.json; of what is optional, those that are named.

    What is optional takes any port if its own is in use: on macOS, AirPlay listens on 5000.
    """
    emulators = _firebase_json()["emulators"]
    ports = {name: int(emulators[name]["port"]) for name in (*EMULATORS, *optional)}
    elsewhere = [name for name in optional if is_taken(ports[name])]
    return ports | dict(zip(elsewhere, free_ports(len(elsewhere)), strict=True))


def for_start(*optional: str) -> EmulatorRun:
    """The user's run: ports of firebase.json; local files and then the shell win over the shipped settings."""
    if both := settings.read(".secret.local").keys() & os.environ.keys():
        raise Problem(f"{', '.join(both)}: unset it in the shell; the CLI takes it from functions/.secret.local.")
    values = SECRETS | settings.read(".env", f".env.{DEMO_PROJECT}", ".env.local")
    values |= {name: os.environ[name] for name in values if name in os.environ}
    ports, proxies = start_ports(*optional) | _other_ports(), environment.proxies()
    return EmulatorRun(f"start-{os.getpid()}", DEMO_PROJECT, ports, values, proxies=proxies)


def for_tests() -> EmulatorRun:
    """A run of its own ports, project and files, with the shipped settings and nothing of the user's."""
    values = SECRETS | settings.read(".env", f".env.{DEMO_PROJECT}")
    return EmulatorRun(f"tests-{os.getpid()}", f"{DEMO_PROJECT}-tests", _other_ports(*EMULATORS), values)


def _other_ports(*names: str) -> dict[str, int]:
    names = (*names, *OTHERS, WEBSOCKET)
    return dict(zip(names, free_ports(len(names)), strict=True))


def _turn() -> Lock:
    """For one CLI of a user at a time: looking for functions, each takes port 8081 or the next that is free.

    Two at once take the same one, and the second gets the first one's functions or none.
    """
    file = Path(tempfile.gettempdir(), f"firebase-functions-discovery-{os.getuid()}.lock")
    return Lock(file, "another start of emulators on this machine", DISCOVERY_SECONDS)


def _end_turn(turn: Lock, process: Process, log: Path) -> None:
    deadline = time.monotonic() + DISCOVERY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if any(words in log.read_bytes() for words in (LOADED, LOAD_ERROR)):
            break
        time.sleep(TICK_SECONDS)
    turn.release()


def _firebase_json() -> Any:
    return json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))
