"""Runs the emulators until a signal asks it to stop. start-emulator.sh becomes this."""

import os
import sys
import time
from typing import BinaryIO

from dev import ROOT, Problem, emulators, toolchain
from dev.emulators import DATA, SECRETS, EmulatorRun
from dev.ports import is_taken
from dev.supervise import TICK_SECONDS, Process, say, supervising, write

STOP_SECONDS = 4.0
EXPORT_SECONDS = 120.0


def main(*options: str) -> int:
    try:
        with supervising():
            # Before installing anything, so that nobody waits for minutes to learn it.
            need_ports(emulators.start_ports(ui=False))
            cli = toolchain.prepare()
            has_ui = toolchain.has_ui(cli)
            need_ports(emulators.start_ports(ui=has_ui))
            serve(emulators.for_start(ui=has_ui), cli, export="--export" in options)
    except Problem as problem:
        say(str(problem))
        return 1
    return 0


def need_ports(ports: dict[str, int]) -> None:
    taken = [
        f"Port {port}, which the {name} emulator needs, is in use." for name, port in ports.items() if is_taken(port)
    ]
    if taken:
        raise Problem("\n".join([*taken, "Nothing was started and nothing was stopped."]))


def serve(run: EmulatorRun, cli: str, *, export: bool) -> None:
    # Some names are common, and a region from elsewhere would change every address.
    for name in run.settings.keys() & os.environ.keys():
        say(f"From your shell: {name}" if name in SECRETS else f"From your shell: {name}={os.environ[name]}")
    say("Starting the emulators ...")
    options, grace = (["--export-on-exit", str(DATA)], EXPORT_SECONDS) if export else ([], STOP_SECONDS)
    with run.started(cli, os.environ, *options, grace_seconds=grace) as (process, log):
        try:
            run.wait_until_ready(process, log)
            say(welcome(run, export=export))
            follow(process, log)
        except SystemExit:
            say("Saving the data and stopping the emulators ..." if export else "Stopping the emulators ...")


def follow(process: Process, log: BinaryIO) -> None:
    """Shows what the emulators say until they stop."""
    status = None
    while status is None:
        time.sleep(TICK_SECONDS)
        status = process.poll()
        write(log.read())
    raise Problem(f"The emulators stopped by themselves, with status {status}.")


def welcome(run: EmulatorRun, *, export: bool) -> str:
    url = run.functions_url
    body = '{"userId":"testUser1","model":"model-a","style":"realistic","color":"vibrant","size":"512x512"}'
    needs_token = run.settings.get("REQUIRE_AUTH") != "false"
    hint = "REQUIRE_AUTH is true: each of these needs a token (docs/security.md).\n" if needs_token else ""
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

Ctrl-C stops and {saving}. The emulators' output follows; all of it is in {run.log.relative_to(ROOT)}.
"""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
