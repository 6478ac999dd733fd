#!/usr/bin/env bash
# Makes emulator-data/ again from scripts/seed.json: a real export of the Firestore and Auth emulators.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/toolchain.sh
prepare_toolchain tests

rm -rf emulator-data
"$FIREBASE" emulators:exec --project demo-case-study --only auth,firestore --export-on-exit emulator-data \
    ".toolchain/tests-venv/bin/python scripts/seed.py --project demo-case-study --users --accounts"
