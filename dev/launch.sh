# Sourced, from the root of the repository, by the commands that people run.
# launch MODULE ARGUMENTS...: becomes this module, in a venv that has what dev/ itself needs.
# shellcheck shell=bash

# The last line of run-tests.sh has to say that it failed, whatever ends it.
fail() {
    printf 'FAILURE: %s\n' "$*" >&2
    exit 1
}

# Each candidate is run: a version manager's shim can be on the PATH for a version that it does not have.
find_python() {
    local candidate without_venv=""
    while IFS= read -r candidate; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        python="$("$candidate" -c 'import ensurepip, sys, venv; print(sys.executable)' 2>/dev/null)" && return
        without_venv="${without_venv:-$candidate}"
    done <<CANDIDATES
$(for name in python3.13 python3.12 python3.11 python3 python; do type -ap "$name" || true; done)
CANDIDATES
    [ -z "$without_venv" ] ||
        fail "$without_venv has no venv module. Install it (Debian, Ubuntu: apt install python3-venv) and try again."
    fail "Python 3.11 or newer is needed and none on the PATH runs. Install one from https://www.python.org/downloads/."
}

has_tools_venv() {
    cmp -s dev/requirements.txt "$venv/requirements.txt" && "$venv/bin/python" -c ''
}

# For one command at a time: another's venv may be in use as soon as it is there. Who holds the lock is this shell with
# its open file 9, not the Python that asks for it, so the lock is free once the shell has ended in any way.
make_tools_venv() {
    local log=.toolchain/logs/tools-venv.log
    find_python
    mkdir -p .toolchain/logs
    exec 9>"$venv.lock"
    "$python" -c '
import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Waiting for another command that is installing ...", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)
' || fail "The lock $venv.lock could not be had."
    has_tools_venv || install_tools_venv
    exec 9>&-
}

install_tools_venv() {
    echo "Installing the tools' Python packages ..."
    rm -rf "$venv.partial"
    { "$python" -m venv "$venv.partial" && "$venv.partial/bin/python" -m pip install --disable-pip-version-check \
        --no-user --root=/ --target= --prefix="$venv.partial" --require-hashes -r dev/requirements.txt; } >"$log" 2>&1 ||
        fail "That did not succeed. Read $log"
    cp dev/requirements.txt "$venv.partial/requirements.txt"
    rm -rf "$venv"
    mv "$venv.partial" "$venv"
}

launch() {
    local venv="$PWD/.toolchain/tools-venv" module="$1"
    shift
    case "$(uname -s)" in
    MINGW* | MSYS* | CYGWIN*) fail "This does not run on Windows itself. Install WSL (wsl --install) and run it there." ;;
    esac
    # The user's own settings of Python must not reach the tools: PYTHONPATH, PYTHONHOME, PYTHONINSPECT ...
    unset "${!PYTHON@}" CDPATH
    export PYTHONUTF8=1
    has_tools_venv || make_tools_venv
    exec "$venv/bin/python" -m "$module" "$@"
}
