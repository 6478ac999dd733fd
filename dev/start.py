"""Runs the emulators until a signal asks it to stop. start-emulator.sh becomes this."""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from dev import ROOT, Problem, emulators, environment, toolchain
from dev.emulators import EmulatorRun
from dev.ports import need_free
from dev.settings import SECRETS, model_choosers, needs_storage
from dev.supervise import TICK_SECONDS, Process, say, supervising, write
from dev.sweeps import SWEEP, sweeping

STOP_SECONDS = 4.0
EXPORT_SECONDS = 120.0
# What the CLI says of each sweep. What the function itself says is shown.
CALLED = re.compile(rb'(Beginning execution of|Finished) "[\w-]+-%b"' % SWEEP.encode())


def main(*options: str) -> int:
    try:
        with supervising():
            # Before the installation, which may take minutes.
            need_free(emulators.start_ports())
            cli = toolchain.prepare()
            keeps_pictures = needs_storage(emulators.for_start().settings, model_choosers(environment.clean_env()))
            storage = ["storage"] if keeps_pictures and toolchain.has_storage(cli) else []
            emulators.for_start(*storage).check_settings()
            can_have = {"ui": toolchain.has_ui(cli), "hosting": toolchain.has_site()}
            run = emulators.for_start(*storage, *(name for name, can in can_have.items() if can))
            is_well = serve(run, cli, export="--export" in options)
    except Problem as problem:
        say(str(problem))
        return 1
    return 0 if is_well else 1


def serve(run: EmulatorRun, cli: str, *, export: bool) -> bool:
    """Runs the emulators until a signal comes; False if the data should have been saved and was not."""
    # Some names are common, and a REGION set for other work would change every address.
    for name in run.settings.keys() & os.environ.keys():
        say(f"From your shell: {name}" if name in SECRETS else f"From your shell: {name}={os.environ[name]}")
    say("Starting the emulators ...")
    options, grace = (["--export-on-exit", str(run.export)], EXPORT_SECONDS) if export else ([], STOP_SECONDS)
    try:
        with run.started(cli, environment.clean_env(), *options, grace_seconds=grace) as (process, log):
            try:
                run.wait_until_ready(process, log)
                say(welcome(run, export=export))
                with sweeping(run.functions_url, say):
                    follow(process, log)
            except SystemExit:
                saving = "Saving the data and stopping the emulators (Ctrl-C again stops without saving) ..."
                say(saving if export else "Stopping the emulators ...")
    finally:
        is_saved = export and run.keep_export()
        if export:
            say("Saved into emulator-data." if is_saved else "Not saved: emulator-data is as it was.")
    return is_saved or not export


def follow(process: Process, log: BinaryIO) -> None:
    """Shows what the emulators say until they stop, but for what the CLI says of each sweep."""
    status, rest = None, b""
    while status is None:
        time.sleep(TICK_SECONDS)
        status = process.poll()
        *lines, rest = (rest + log.read()).split(b"\n")
        write(b"".join(line + b"\n" for line in lines if not CALLED.search(line)))
    write(rest)
    raise Problem(f"The emulators stopped by themselves, with status {status}.")


def welcome(run: EmulatorRun, *, export: bool) -> str:
    url = run.functions_url
    body = '{"userId":"testUser1","model":"model-a","style":"realistic","color":"vibrant","size":"512x512"}'
    hint = "".join(f"{line}\n" for line in hints(run.settings))
    storage = f"Storage    http://{run.address('storage')}\n" if "storage" in run.ports else ""
    saving = "saves the data into emulator-data" if export else "forgets the data (--export saves it)"
    return f"""
Console    {f"http://{run.address('hosting')}" if "hosting" in run.ports else "off"}
Functions  {url}
Firestore  {run.address("firestore")}
Auth       http://{run.address("auth")}
{storage}UI         {f"http://{run.address('ui')}" if "ui" in run.ports else "off"}

{hint}Open the console in a browser: one click signs in, one buys. Or try:
  curl '{url}/getUserCredits?userId=testUser1'
  curl -X POST '{url}/createGenerationRequest' -H 'Content-Type: application/json' \\
    -d '{body}'
  curl '{url}/getUserCredits?userId=testUser2'

Ctrl-C stops and {saving}. The emulators' output follows; all of it is in {run.log.relative_to(ROOT)}.
"""


def hints(settings: Mapping[str, str]) -> Iterator[str]:
    """Why the commands in `welcome` would not work unchanged."""
    if settings.get("REQUIRE_AUTH") != "false":
        yield "REQUIRE_AUTH is true: each of these needs a token (docs/security.md)."
    if settings.get("REQUIRE_APP_CHECK") == "true":
        yield "REQUIRE_APP_CHECK is true: no call gets an answer without a token of your app's."
    if environment.hides_this_machine(os.environ):
        yield "Your shell sends curl to a proxy: add --noproxy 127.0.0.1 to each of these."


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
