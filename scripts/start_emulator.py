"""Runs the emulators until a signal asks it to stop. start-emulator.sh prepares the toolchain and becomes this."""

import argparse
import http.client
import json
import os
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import emulator_config
from emulator_config import DATA, ROOT, EmulatorRun, has_data
from supervise import TICK_SECONDS, Signals, Supervised, say, write

LOG = ROOT / ".toolchain" / "logs" / "start-emulator.log"
READY_SECONDS = 120.0
STOP_SECONDS = 4.0
EXPORT_SECONDS = 120.0
# The CLI goes on without any function when main.py cannot be loaded.
LOAD_ERROR = b"Failed to load function definition"
TAIL_LINES = 25
# What config.py says of a setting; the traceback before it helps nobody.
REFUSED = re.compile(rb"ConfigurationError: ([^\n]*)")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check-ports", action="store_true")
    parser.add_argument("--ui", action="store_true")
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--cli")
    options = parser.parse_args()
    signals = Signals()
    ports = emulator_config.start_ports(options.ui)
    if taken := emulator_config.taken(ports.values()):
        for name, port in ports.items():
            if port in taken:
                say(f"Port {port}, which the {name} emulator needs, is in use by another program.")
        say("Nothing was started and nothing was stopped.")
        return 1
    if options.check_ports:
        return 0
    return serve(emulator_config.for_start(options.ui, os.environ), signals, options.cli, options.export)


def serve(run: EmulatorRun, signals: Signals, cli: str, export: bool) -> int:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    command = run.command(cli, "emulators:start", *(("--export-on-exit", str(DATA)) if export else ()))
    if not has_data():
        say(
            "emulator-data holds no export, so there is no catalog and no user: scripts/make-emulator-data.sh makes it."
        )
    # Some names are common, and a region from elsewhere would change every address.
    for name in emulator_config.overridden(os.environ):
        say(f"From your shell: {name}={os.environ[name]}")
    say("Starting the emulators ...")
    with Supervised(command, env=os.environ, cwd=run.work_dir, log=LOG) as emulators, LOG.open("rb") as log:
        problem = wait_until_ready(run, signals, emulators, log)
        if problem is None and signals.last is None:
            say(welcome(run, export))
            problem = follow(signals, emulators, log)
        if signals.last is not None:
            say("Saving the data and stopping the emulators ..." if export else "Stopping the emulators ...")
        if emulators.process.poll() is None:
            emulators.interrupt(signals, EXPORT_SECONDS if export else STOP_SECONDS)
    remove_locator(run, emulators.process.pid)
    if problem is None:
        return 0
    say(f"{problem} Log: {LOG.relative_to(ROOT)}")
    return 1


def wait_until_ready(run: EmulatorRun, signals: Signals, emulators: Supervised, log: BinaryIO) -> str | None:
    """Waits for the first answer of a function; answers what went wrong, if anything did."""
    said = b""
    problem = f"The functions did not answer within {READY_SECONDS:.0f} s."
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and signals.last is None:
        ended = emulators.process.poll() is not None
        said += log.read()
        if ended:
            problem = f"The emulators stopped while starting, with status {emulators.process.returncode}."
            break
        if LOAD_ERROR in said:
            problem = "The functions could not be loaded."
            # The cause comes before; after it comes a table that says all is ready.
            said = said[: said.index(LOAD_ERROR)]
            break
        with suppress(OSError, http.client.HTTPException), signals.breaking_in():
            if answers(f"{run.functions_url}/getUserCredits"):
                return None
        time.sleep(TICK_SECONDS)
    if signals.last is not None:
        return None
    if refused := REFUSED.search(said):
        return refused[1].decode(errors="replace")
    write(b"\n".join(said.splitlines()[-TAIL_LINES:]) + b"\n")
    return problem


def answers(url: str) -> bool:
    """Whether a function answers: the emulator's own errors are not JSON, the functions' always are."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as response:
            kind = response.headers.get_content_type()
    except urllib.error.HTTPError as error:
        kind = error.headers.get_content_type()
    return bool(kind == "application/json")


def follow(signals: Signals, emulators: Supervised, log: BinaryIO) -> str | None:
    """Shows what the emulators say until a signal comes or they stop."""
    while signals.last is None:
        ended = emulators.process.poll() is not None
        write(log.read())
        if ended:
            return f"The emulators stopped by themselves, with status {emulators.process.returncode}."
        time.sleep(TICK_SECONDS)
    return None


def welcome(run: EmulatorRun, export: bool) -> str:
    url = run.functions_url
    body = '{"userId":"testUser1","model":"model-a","style":"realistic","color":"vibrant","size":"512x512"}'
    needs_token = run.setting("REQUIRE_AUTH", "true") != "false"
    hint = "REQUIRE_AUTH is true: each of these needs a token (README, Who may call).\n" if needs_token else ""
    saving = "saves the data into emulator-data" if export else "forgets the data (--export saves it)"
    return f"""
Functions  {url}
Firestore  {run.address("firestore")}
Auth       http://{run.address("auth")}
UI         {f"http://{run.address('ui')}" if "ui" in run.ports else "off"}

{hint}Try:
  curl '{url}/getUserCredits?userId=testUser1'
  curl -X POST '{url}/createGenerationRequest' -H 'Content-Type: application/json' \\
    -d '{body}'
  curl '{url}/getUserCredits?userId=testUser2'

Ctrl-C stops and {saving}. The emulators' output follows; all of it is in {LOG.relative_to(ROOT)}.
"""


def remove_locator(run: EmulatorRun, pid: int) -> None:
    """A CLI that was killed leaves the file that tells other CLIs where it listens."""
    locator = Path(tempfile.gettempdir()) / f"hub-{run.project}.json"
    with suppress(OSError, ValueError):
        if json.loads(locator.read_text())["pid"] == pid:
            locator.unlink()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except emulator_config.ConfigError as error:
        sys.exit(str(error))
