#!/usr/bin/env bash
# Makes the locks again from their .in files, for every Python from 3.11 on and every platform.
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."

uv_version=0.13.9
tools="$(mktemp -d)"
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet "uv==$uv_version"

compile() {
    "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --custom-compile-command dev/pin-requirements.sh "$1" --output-file "$2"
}
compile functions/requirements.in functions/requirements.txt
compile requirements-dev.in requirements-dev.txt
compile dev/requirements.in dev/requirements.txt
