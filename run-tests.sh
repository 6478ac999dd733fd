#!/usr/bin/env bash
# Runs every check and test; --help says more.
set -euo pipefail
export CALLER_DIR="$PWD"
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")"

for argument in "$@"; do
    case "$argument" in
    --help | -h)
        cat <<'USAGE'
Usage: ./run-tests.sh [--thorough] [TESTS...] [PYTEST-OPTIONS...]

Runs ruff, mypy, the unit tests, and the tests that need the emulators, which it starts on free ports. What is missing
is installed first. The last line is SUCCESS, or FAILURE and what failed. The exit status is 0 only on success.

  --thorough   the tests of faults, storms and made-up requests in full, as CI runs them
  TESTS        only these: tests/unit, tests/emulator/credits/test_grants.py, tests/unit/credits/test_ledger.py::test_name ...
  --help       show this text

Every other option is pytest's: -x, -k NAME, --durations=10, -n 0 ... Give an option that takes a path with "=".
USAGE
        exit 0
        ;;
    esac
done

source dev/launch.sh
launch dev.test_run "$@"
