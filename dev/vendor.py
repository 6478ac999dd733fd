"""Fetches what the console's page loads. vendor.sh becomes this, before each deploy of Hosting."""

import sys

from dev import Problem, toolchain
from dev.supervise import say, supervising


def main() -> int:
    try:
        with supervising():
            toolchain.need_site()
    except Problem as problem:
        say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
