#!/bin/sh
# Makes the environment $1 hold exactly what requirements/build.txt and dev.txt pin, by hash, and
# this project, editable. Safe to repeat. Registries are those pip is configured with.
set -eu
cd "$(dirname "$0")/.."
venv=$1

fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'
fail() { printf 'whyledger: %s\n' "$*" >&2; exit 1; }

if [ -x "$venv/bin/python" ]; then
    "$venv/bin/python" -c "$fits" ||
        fail "$venv holds another Python than 3.11 or 3.12. Remove it (make clean) and try again."
else
    python=
    # A Python that was named is taken or refused; no other one is taken in its place.
    for name in ${PYTHON:-python3.11 python3.12 python3}; do
        # A version manager's shim may stand on the path and still run nothing: try, then believe.
        if "$name" -c "$fits" 2>/dev/null; then python=$name; break; fi
    done
    [ -n "$python" ] || [ -z "${PYTHON:-}" ] ||
        fail "PYTHON=$PYTHON is no Python 3.11 or 3.12 that runs here. Install it, or name another."
    [ -n "$python" ] || fail "no Python 3.11 or 3.12 found (durable-rules does not import on 3.13)." \
        "Install one, or name it: make PYTHON=/path/to/python3.11 ..."
    "$python" -m venv "$venv" || {
        rm -rf "$venv"
        fail "$python cannot make an environment. On Debian and Ubuntu: apt install python3-venv."
    }
fi

"$venv/bin/python" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())' ||
    fail "this Python has no headers, and durable-rules is compiled. Install python3-dev for it."
command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null ||
    fail "no C compiler found, and durable-rules is compiled. Install gcc or clang, or set CC."

echo "whyledger: setting up $venv from requirements/ (one to four minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements/build.txt

# uv is ten times faster than pip and does not read pip's configuration: hand it the index, and
# where that is not enough (certificates, several indexes, credentials) let pip do the work.
index=$("$venv/bin/python" -m pip config list |
    sed -n "s/^[^=]*[.]index.url='\(.*\)'\$/\1/p" | head -n 1)
if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
# --compile-bytecode: each worker is a new process, and where Python may not write its cache it would
# compile the libraries at every start.
# --no-build-isolation: what has no wheel is built by the setuptools pinned in build.txt.
"$venv/bin/uv" pip sync --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes \
    --no-build-isolation requirements/build.txt requirements/dev.txt || {
    echo "whyledger: uv could not install from here; pip will, and takes longer" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-build-isolation -r requirements/build.txt -r requirements/dev.txt
}
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
    --no-build-isolation --editable .
