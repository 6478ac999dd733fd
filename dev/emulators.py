"""One run of the emulators: its ports, its settings, its generated configuration, and the wait until it is ready."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, BinaryIO

from dotenv.parser import parse_stream

from dev import LOGS, ROOT, Problem, supervise
from dev.ports import HOST, free_ports
from dev.supervise import TICK_SECONDS, Process, write

DATA = ROOT / "emulator-data"
DEMO_PROJECT = "demo-case-study"
EMULATORS = ("auth", "functions", "firestore")
# What else the CLI listens on. Any port will do, and with free ones two runs never fight.
OTHERS = ("hub", "logging", "eventarc", "tasks")
# Deployed, the functions get these from Secret Manager. Here they are settings like any other (config.SECRETS).
SECRETS = {"REPORT_WEBHOOK_URL": ""}
READY_SECONDS = 120.0
TAIL_LINES = 25
# The CLI goes on without any function when main.py cannot be loaded. The cause comes before this, a table after it.
LOAD_ERROR = b"Failed to load function definition"
# What config.py says of a setting; the traceback before it helps nobody.
REFUSED = re.compile(rb"ConfigurationError: ([^\n]*)")


@dataclass(frozen=True)
class EmulatorRun:
    """One run of the emulators; its files have its name."""

    name: str
    project: str
    ports: dict[str, int]
    settings: dict[str, str]

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name.partition('-')[0]}-emulators.log"

    @property
    def functions_url(self) -> str:
        return f"http://{self.address('functions')}/{self.project}/{self.settings.get('REGION', 'us-central1')}"

    @property
    def addresses(self) -> dict[str, str]:
        """Where a test or a benchmark finds it, as environment variables."""
        return {
            "FUNCTIONS_BASE_URL": self.functions_url,
            "FIRESTORE_EMULATOR_HOST": self.address("firestore"),
            "FIREBASE_AUTH_EMULATOR_HOST": self.address("auth"),
            "GCLOUD_PROJECT": self.project,
        }

    def address(self, emulator: str) -> str:
        return f"{HOST}:{self.ports[emulator]}"

    @contextmanager
    def started(
        self, cli: str, env: Mapping[str, str], *options: str, grace_seconds: float = 0.0
    ) -> Iterator[tuple[Process, BinaryIO]]:
        """The running CLI, and its log for reading. The files of the run are gone afterwards."""
        work_dir, config_file = ROOT / ".emulator" / self.name, ROOT / f".firebase-{self.name}.json"
        only = ",".join(name for name in ("ui", *EMULATORS) if name in self.ports)
        command = [cli, "emulators:start", "--project", self.project, "--config", str(config_file), "--only", only]
        # The CLI sets no more than GCLOUD_PROJECT, which the libraries heed last, and gives a function 30 s to load.
        told = {
            "FUNCTIONS_EMULATOR": "true",
            "GOOGLE_CLOUD_PROJECT": self.project,
            "TMPDIR": str(work_dir),
            "FUNCTIONS_DISCOVERY_TIMEOUT": "60",
        }
        shutil.rmtree(work_dir, ignore_errors=True)
        work_dir.mkdir(parents=True)
        try:
            lines = [f"{name}={_quoted(value)}\n" for name, value in self.settings.items()]
            (work_dir / f".env.{self.project}").write_text("".join(lines), encoding="utf-8")
            config_file.write_text(json.dumps(self._config(work_dir), indent=2), encoding="utf-8")
            command += ["--import", str(DATA), *options]
            with (
                supervise.started(command, {**env, **told}, work_dir, self.log, grace_seconds) as process,
                self.log.open("rb") as log,
            ):
                yield process, log
        finally:
            config_file.unlink(missing_ok=True)
            shutil.rmtree(work_dir, ignore_errors=True)

    def _config(self, work_dir: Path) -> Any:
        config = _firebase_json()
        emulators = config["emulators"]
        for name, port in self.ports.items():
            emulators.setdefault(name, {"host": HOST})["port"] = port
        emulators["ui"]["enabled"] = "ui" in self.ports
        emulators["firestore"]["websocketPort"] = free_ports(1)[0]
        emulators["singleProjectMode"] = self.project == DEMO_PROJECT
        for codebase in config["functions"]:
            codebase["configDir"] = str(work_dir.relative_to(ROOT))
        return config

    def wait_until_ready(self, process: Process, log: BinaryIO) -> None:
        """Waits for the first answer of a function.

        Raises:
            Problem: none will come.
        """
        said, deadline = b"", time.monotonic() + READY_SECONDS
        while not self._answers():
            status = process.poll()
            said += log.read()
            if LOAD_ERROR in said:
                problem = "The functions could not be loaded."
                said = said[: said.index(LOAD_ERROR)]
            elif status is not None:
                problem = f"The emulators stopped while starting, with status {status}."
            elif time.monotonic() > deadline:
                problem = f"The functions did not answer within {READY_SECONDS:.0f} s."
            else:
                time.sleep(TICK_SECONDS)
                continue
            if refused := REFUSED.search(said):
                problem = refused[1].decode(errors="replace")
            else:
                write(b"\n".join(said.splitlines()[-TAIL_LINES:]) + b"\n")
            raise Problem(f"{problem} Log: {self.log.relative_to(ROOT)}")

    def _answers(self) -> bool:
        """Whether a function does: its answers are always JSON, the emulator's own errors never."""
        with suppress(OSError, HTTPException):
            connection = HTTPConnection(HOST, self.ports["functions"], timeout=10)
            connection.request("GET", f"{self.functions_url}/getUserCredits")
            return connection.getresponse().headers.get_content_type() == "application/json"
        return False


def start_ports(*, ui: bool) -> dict[str, int]:
    """The user's ports, from firebase.json."""
    emulators = _firebase_json()["emulators"]
    return {name: int(emulators[name]["port"]) for name in ((*EMULATORS, "ui") if ui else EMULATORS)}


def for_start(*, ui: bool) -> EmulatorRun:
    """The user's run: ports of firebase.json; local files and then the shell win over the shipped settings."""
    if both := _read_settings(".secret.local").keys() & os.environ.keys():
        raise Problem(f"{', '.join(both)}: unset it in the shell; the CLI takes it from functions/.secret.local.")
    settings = SECRETS | _read_settings(".env", f".env.{DEMO_PROJECT}", ".env.local")
    settings |= {name: os.environ[name] for name in settings if name in os.environ}
    return EmulatorRun(f"start-{os.getpid()}", DEMO_PROJECT, start_ports(ui=ui) | _some_ports(OTHERS), settings)


def for_tests() -> EmulatorRun:
    """A run of its own ports, project and files, with the shipped settings and nothing of the user's."""
    settings = SECRETS | _read_settings(".env", f".env.{DEMO_PROJECT}")
    return EmulatorRun(f"tests-{os.getpid()}", f"{DEMO_PROJECT}-tests", _some_ports(EMULATORS + OTHERS), settings)


def _some_ports(names: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(names, free_ports(len(names)), strict=True))


def _read_settings(*files: str) -> dict[str, str]:
    """The settings in these files of functions/, as far as they exist; the later file wins."""
    settings: dict[str, str] = {}
    for path in filter(Path.is_file, (ROOT / "functions" / file for file in files)):
        with path.open(encoding="utf-8-sig") as stream:
            for entry in parse_stream(stream):
                if entry.error or (entry.key is not None and entry.value is None):
                    text = entry.original.string
                    line = entry.original.line + len(text) - len(text.lstrip("\n"))
                    raise Problem(f"{path.relative_to(ROOT)}, line {line}: expected NAME=VALUE.")
                if entry.key is not None:
                    settings[entry.key] = str(entry.value)
    return settings


def _firebase_json() -> Any:
    return json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))


def _quoted(value: str) -> str:
    """As the CLI's own parser reads it back."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'
