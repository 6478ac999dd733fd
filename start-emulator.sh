#!/usr/bin/env bash
# Runs everything locally: functions, Firestore, Auth, Cloud Tasks, the console and, if available, the Emulator UI.
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'USAGE'
Usage: ./start-emulator.sh [--export]

Starts the emulators with the data of emulator-data/ and stops them on Ctrl-C. What is missing is installed first.

  --export   save the data into emulator-data/ when stopping; without it a run leaves that folder as it was
  --help     show this text

A setting of functions/.env can be given for one run: AI_FAILURE_RATE=1 ./start-emulator.sh
USAGE
}

for option in "$@"; do
    case "$option" in
    --export) ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        printf 'Unknown option: %s\n\n' "$option" >&2
        usage >&2
        exit 2
        ;;
    esac
done

source dev/launch.sh
launch dev.start "$@"
