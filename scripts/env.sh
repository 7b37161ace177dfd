# Sourced by the other scripts: makes .venv beside them and installs the package, once.
#   . scripts/env.sh [EXTRA]      EXTRA: an optional-dependencies group of pyproject.toml
# Leaves the interpreter's path in $python. PYTHON names another interpreter to build .venv with.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
extra=${1:-}
python=$root/.venv/bin/python
stamp=$root/.venv/installed${extra:+-$extra}

if command -v flock >/dev/null; then  # two first calls at once take turns
    exec 9>"$root/.setup.lock"
    flock 9
fi
if ! "$python" -m pip --version >/dev/null 2>&1; then
    base=${PYTHON:-python3}
    if ! "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "schedsearch needs Python 3.11 or newer, and '$base' is not: set PYTHON=/path/to/python3.11" >&2
        exit 2
    fi
    echo "making .venv (once) ..." >&2
    "$base" -m venv --clear "$root/.venv" || exit 1
fi
if ! cmp -s "$root/pyproject.toml" "$stamp"; then
    echo "installing schedsearch${extra:+[$extra]} into .venv (once; torch is large: one to ten minutes) ..." >&2
    "$python" -m pip install --quiet --disable-pip-version-check -e "$root${extra:+[$extra]}" >&2 || exit 1
    cp "$root/pyproject.toml" "$stamp"
fi
if command -v flock >/dev/null; then
    exec 9>&-
fi
