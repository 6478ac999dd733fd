"""start-emulator.sh as a user runs it in some shell, beside the user's own; see trial_start.py."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Self

from dev.ports import is_taken
from tests.support.calls import Function
from tests.support.identities import bearer
from tests.support.projects import ROOT
from tests.support.servers import wait_until

LAUNCH = quote(str(ROOT / "dev" / "launch.sh"))
START = f'umask $1 && shift && source {LAUNCH} && launch tests.support.trial_start "$@"'
# On a busy machine, and after another start.
READY_SECONDS = 180.0
STOP_SECONDS = 60.0
# What run-tests.sh sets for the tests is not the shell of a user.
OWN = (
    "FIRESTORE_EMULATOR_HOST",
    "FIREBASE_AUTH_EMULATOR_HOST",
    "CLOUD_TASKS_EMULATOR_HOST",
    "GCLOUD_PROJECT",
    "NO_PROXY",
    "no_proxy",
)


class Trial:
    """A start; leaving the context ends it like Ctrl-C does."""

    def __init__(self, data: Path, *options: str, umask: str = "022", **shell: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the trial
        env = {name: value for name, value in os.environ.items() if name not in OWN}
        self.process = subprocess.Popen(
            ["bash", "-c", START, "bash", umask, str(data), *options],
            cwd=ROOT,
            env={**env, **shell},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def name(self) -> str:
        """Everything that it starts has this in its environment."""
        return f"trial-{self.process.pid}"

    def said(self) -> str:
        # Without moving: it writes at the same place of the file that a seek would set.
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def ready(self) -> Self:

        def is_settled() -> bool:
            return "Ctrl-C stops" in self.said() or self.process.poll() is not None

        wait_until(is_settled, "getting ready", READY_SECONDS)
        assert self.process.poll() is None, self.said()
        return self

    def address(self, name: str) -> str:
        """What it says of Functions, Firestore or Auth."""
        [address] = re.findall(rf"^{name} +(?:http://)?(\S+)$", self.said(), re.MULTILINE)
        return str(address)

    def function(self, name: str) -> Function:
        return Function(f"http://{self.address('Functions')}/{name}")

    def signs_in(self, user_id: str) -> dict[str, str]:
        """The headers of a user of the seed who has signed in."""
        accounts = f"http://{self.address('Auth')}/identitytoolkit.googleapis.com/v1/accounts"
        known = {"email": f"{user_id.lower()}@example.com", "password": user_id, "returnSecureToken": True}
        return bearer(Function(f"{accounts}:signInWithPassword?key=any").post(known).json()["idToken"])

    def interrupt(self) -> None:
        """One Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Its exit status."""
        return self.process.wait(STOP_SECONDS)

    def left(self) -> list[str]:
        """The ports and, where the system tells, the processes that have outlived it."""
        addresses = [self.address(name).partition("/")[0] for name in ("Functions", "Firestore", "Auth")]
        # The CLI's table has the others, Cloud Tasks too.
        addresses += re.findall(r"│.*(127\.0\.0\.1:\d+)", self.said())
        taken = [address for address in addresses if is_taken(int(address.partition(":")[2]))]
        return [*taken, *map(str, self._processes())]

    def freeze_firestore(self) -> None:
        """From now on the Firestore emulator answers nothing, so nothing can be saved."""
        [java] = [folder for folder in self._processes() if (folder / "comm").read_text("utf-8") == "java\n"]
        os.kill(int(java.name), signal.SIGSTOP)

    def _processes(self) -> Iterator[Path]:
        """The folders of what it has started in /proc, if there is one."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.name.encode() in (folder / "environ").read_bytes():
                    yield folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.interrupt()
        self.ended()
        self._log.close()
