"""start-emulator.sh beside the user's own: on ports, data and files of its own, and without the Emulator UI.

bash -c 'source dev/launch.sh && launch tests.support.trial_start DATA [--export]'
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from dev import Problem, emulators, start, toolchain
from dev.ports import PortTaken, free_ports
from dev.supervise import say, supervising


def main(data: str, *options: str) -> int:
    with supervising():
        optional = ("hosting",) if toolchain.has_site() else ()
        names = (*emulators.EMULATORS, *optional)
        users = emulators.for_start(*optional)
        name = f"trial-{os.getpid()}"
        # Several run at once, and each shows what it reads in its log.
        run = replace(users, name=name, data=Path(data), has_own_log=True)
        cli = toolchain.prepare()
        run.check_settings()

        def serve() -> int:
            own = dict(zip(names, free_ports(len(names)), strict=True))
            return 0 if start.serve(replace(run, ports=run.ports | own), cli, export="--export" in options) else 1

        try:
            return serve()
        except PortTaken:
            # By another test, while this start waited for its turn.
            return serve()
        finally:
            run.log.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
