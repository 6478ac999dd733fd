"""Starts functions as functions-framework does, each in a fork of this process, which has imported the libraries.

A program of functions/venv. A start costs 0.1 s of processor instead of 0.9. The fork imports the functions' own code,
with the settings of its server. Each line of the standard input is an order, and is answered with one line, in JSON:

    {"arguments": [...], "env": {...}, "log": path}  ->  the server's process id
    {"status_of": process id}                        ->  its exit status; null while it runs
"""

import json
import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

# What the functions and the framework import. One that is missing here costs time, and nothing else.
LIBRARIES = (
    "firebase_admin.app_check",
    "firebase_admin.auth",
    "firebase_functions.https_fn",
    "firebase_functions.scheduler_fn",
    "functions_framework._http.gunicorn",
    "google.cloud.firestore",
    "gunicorn.arbiter",
    "jinja2",
    "pydantic",
)
[FRAMEWORK] = entry_points(group="console_scripts", name="functions-framework")
main = FRAMEWORK.load()
for library in LIBRARIES:
    import_module(library)


def become_server(order: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = [FRAMEWORK.name, *order["arguments"]]
    main()


def status_of(process_id: int) -> int | None:
    ended, status = os.waitpid(process_id, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


for line in sys.stdin:
    order = json.loads(line)
    if "status_of" in order:
        answer = status_of(order["status_of"])
    else:
        answer = os.fork()
        if answer == 0:
            become_server(order)
    print(json.dumps(answer), flush=True)
