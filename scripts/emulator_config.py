"""Derives from firebase.json the configuration of one run of the emulators, and the settings of its functions."""

import json
import os
import random
import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "emulator-data"
DEMO_PROJECT = "demo-case-study"
TESTS_PROJECT = "demo-case-study-tests"
HOST = "127.0.0.1"
EMULATORS = ("auth", "functions", "firestore")
# Below the ports that the system gives to outgoing connections, so none is taken between choosing and listening.
TEST_PORTS = range(20_000, 32_000)
ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")


class ConfigError(Exception):
    """A file of the repository cannot be used; the message says which and why."""


@dataclass(frozen=True)
class EmulatorRun:
    """Where one run of the emulators finds its configuration and where it listens."""

    project: str
    config_file: Path
    work_dir: Path
    ports: dict[str, int]
    settings: Mapping[str, str]

    @property
    def functions_url(self) -> str:
        return f"http://{HOST}:{self.ports['functions']}/{self.project}/{self.setting('REGION', 'us-central1')}"

    def setting(self, name: str, default: str) -> str:
        """A setting of the functions in this run, without the quotes that it may have in its file."""
        return self.settings.get(name, default).strip("\"'")

    def address(self, emulator: str) -> str:
        return f"{HOST}:{self.ports[emulator]}"

    def command(self, cli: str, verb: str, *options: str) -> list[str]:
        only = ",".join((*EMULATORS, "ui") if "ui" in self.ports else EMULATORS)
        command = [cli, verb, "--project", self.project, "--config", str(self.config_file), "--only", only]
        if has_data():
            command += ["--import", str(DATA)]
        return [*command, *options]

    def remove(self) -> None:
        self.config_file.unlink(missing_ok=True)
        shutil.rmtree(self.work_dir, ignore_errors=True)


def has_data() -> bool:
    """Whether emulator-data holds an export."""
    return (DATA / "firebase-export-metadata.json").is_file()


def start_ports(ui: bool) -> dict[str, int]:
    emulators = _firebase_json()["emulators"]
    return {name: int(emulators[name]["port"]) for name in ((*EMULATORS, "ui") if ui else EMULATORS)}


def for_start(ui: bool, environ: Mapping[str, str]) -> EmulatorRun:
    """The user's run: the ports of firebase.json, settings overridden by .env.local and then by the shell."""
    config = _firebase_json()
    config["emulators"].setdefault("ui", {})["enabled"] = ui
    settings = read_settings(".env", f".env.{DEMO_PROJECT}", ".env.local")
    # The CLI lets .env files win over its own environment; for one run, what was typed before the command should.
    settings |= {name: _quoted(environ[name]) for name in overridden(environ)}
    return _write(config, "start", DEMO_PROJECT, start_ports(ui), settings)


def overridden(environ: Mapping[str, str]) -> list[str]:
    """The settings that this environment has values for."""
    return [name for name in read_settings(".env", f".env.{DEMO_PROJECT}", ".env.local") if name in environ]


def for_tests() -> EmulatorRun:
    """A test run: free ports and files of its own, the repository's settings and nothing of the user's."""
    config = _firebase_json()
    extra = ("hub", "logging", "eventarc", "tasks", "websocket")
    ports = dict(zip((*EMULATORS, *extra), free_ports(len(EMULATORS) + len(extra)), strict=True))
    emulators = config["emulators"]
    for name, port in ports.items():
        if name == "websocket":
            emulators["firestore"]["websocketPort"] = port
        else:
            emulators.setdefault(name, {"host": HOST})["port"] = port
    emulators["ui"] = {"enabled": False}
    emulators["singleProjectMode"] = False
    settings = read_settings(".env", f".env.{DEMO_PROJECT}")
    return _write(config, f"tests-{os.getpid()}", TESTS_PROJECT, ports, settings)


def read_settings(*files: str) -> dict[str, str]:
    """Name to value as written in the files of functions/ that exist; the later file wins."""
    settings: dict[str, str] = {}
    for file in files:
        path = ROOT / "functions" / file
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = ENV_LINE.fullmatch(line)
            if match is None:
                raise ConfigError(f"functions/{file}, line {number}: expected NAME=VALUE.")
            settings[match[1]] = match[2].strip()
    return settings


def taken(ports: Iterable[int]) -> list[int]:
    return [port for port in ports if _is_taken(port)]


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.SystemRandom().sample(TEST_PORTS, len(TEST_PORTS)):
        if len(found) == count:
            return found
        if not _is_taken(port):
            found.append(port)
    raise ConfigError(f"Fewer than {count} free ports between {TEST_PORTS.start} and {TEST_PORTS.stop}.")


def _is_taken(port: int) -> bool:
    # macOS lets a specific address be bound beside a wildcard listener, so binding alone does not tell.
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return True
    return False


def _firebase_json() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))
    return config


def _write(
    config: dict[str, Any], name: str, project: str, ports: dict[str, int], settings: dict[str, str]
) -> EmulatorRun:
    work_dir = ROOT / ".emulator" / name
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    for codebase in config["functions"]:
        codebase["configDir"] = str(work_dir.relative_to(ROOT))
    env_lines = [f"{key}={value}\n" for key, value in settings.items()]
    (work_dir / f".env.{project}").write_text("".join(env_lines), encoding="utf-8")
    config_file = ROOT / f".firebase-{name}.json"
    config_file.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return EmulatorRun(project, config_file, work_dir, ports, settings)


def _quoted(value: str) -> str:
    """As the CLI's own parser reads it back."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'
