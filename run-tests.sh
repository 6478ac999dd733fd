#!/usr/bin/env bash
# Runs every check and test; arguments go on to pytest. See scripts/run_tests.py.
set -euo pipefail
export CALLER_DIR="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")"

# Whatever ends this script before the tests do is a failure too, and has to say so.
trap 'echo "FAILURE: the tools could not be prepared"' EXIT
source scripts/toolchain.sh
prepare_toolchain tests
export FIREBASE
exec "$PYTHON" scripts/run_tests.py "$@"
