"""What all tests share: who runs them, Hypothesis' settings, and the figures that they record, shown at the end."""

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

CONSOLE, STARTS = "tests/emulator/hosting/", "tests/emulator/test_start.py"
# These take longest, so they begin first; and of the console's, those that measure its first picture.
FIRST = (f"{CONSOLE}test_buyer.py", CONSOLE, STARTS)

# A deadline for an example measures the machine, and how busy it is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


class SharedServers(LoadFileScheduling):  # type: ignore[misc]
    """Gives a worker a whole file, since its tests share servers; but all files of the console, and one start each."""

    # What xdist's own schedulers override, too.
    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(CONSOLE):
            return CONSOLE
        return nodeid if nodeid.startswith(STARTS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedServers:
    return SharedServers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [not item.nodeid.startswith(first) for first in FIRST])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded: record_property("figure", "150 histories, 0 broken")."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    figures = [value for report in reports for name, value in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))
