#!/bin/sh
# Asks the OSV database, with the pip-audit $1, about every version that is pinned. Only names and
# versions leave this machine. Exits with 0 when none has a known vulnerability, with 1 when some
# have (each is listed), and with 2 when the database cannot be asked: then nothing was audited.
set -u
cd "$(dirname "$0")/.."
words=$(mktemp)
trap 'rm -f "$words"' EXIT

"$1" --vulnerability-service osv --disable-pip --require-hashes --progress-spinner off \
    --requirement requirements/dev.txt --requirement requirements/audit.txt 2>"$words"
code=$?
case "$code $(grep -oE '^(No known|Found [0-9]+ known) vulnerabilit' "$words" | head -n 1)" in
"0 No known"*)
    echo "whyledger: no known vulnerability in what requirements/ pins" ;;
"1 Found"*)
    grep '^Found ' "$words"
    echo "whyledger: pin what mends them (make lock), or say in docs/dependencies.md why not"
    exit 1 ;;
*)
    echo "whyledger: NOTHING WAS AUDITED: the vulnerability database cannot be asked from here." \
        "pip-audit ended with exit code $code: $(tail -n 1 "$words" | cut -c 1-300)" >&2
    exit 2 ;;
esac
