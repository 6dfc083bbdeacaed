# gatewright_install PYTHON VENV LOCK [pip options]: a virtual environment with exactly what LOCK names, and this project.
# Sourced by the Makefile. Nothing is done when the same lock was installed before, so later starts are quick.

gatewright_install() {
    python=$1 venv=$2 lock=$3
    shift 3
    if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        echo "Python 3.11, 3.12 or 3.13 is needed; name one by PYTHON=, such as: make run PYTHON=python3.12" >&2
        return 1
    fi
    sum=$("$python" - "$lock" pyproject.toml <<'PROGRAM'
import hashlib, os, sys
digest = hashlib.sha256(f"{sys.version} {os.getcwd()}".encode())
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        digest.update(file.read())
print(digest.hexdigest())
PROGRAM
    ) || return 1
    stamp=$venv/.installed-$lock
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
        return 0
    fi
    if [ ! -x "$venv/bin/python" ]; then
        echo "making the virtual environment $venv"
        if ! "$python" -m venv "$venv"; then
            echo "python's venv module is needed; on Debian and Ubuntu: apt-get install python3-venv" >&2
            return 1
        fi
    fi
    echo "installing what $lock names"
    # The lock names everything, so pip need not look for more: it would take a newer release than the lock's for a
    # dependency that is asked for with an extra (seen: google-auth[requests]), and then refuse it for want of a hash.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: -r "$lock" "$@" || return 1
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || return 1
    # Not a reason to fail: without them tokens are estimated, and the gateway's log says so.
    "$venv/bin/python" deploy/vocabularies.py || echo "tokens will be estimated; \`make vocabularies\` tries again" >&2
    echo "$sum" > "$stamp"
}
