#!/usr/bin/env bash
# Runs one benchmark against emulators of its own: benchmarks/run.sh latency|load|weekly_report [OPTIONS], --help for them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source dev/launch.sh
launch benchmarks.run "$@"
