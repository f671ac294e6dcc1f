#!/usr/bin/env bash
# The Python package as its users get it: the wheel, installed into environments of its own, beside Ray and Spark, and compared
# with the command line. Needs python3 (3.10 or newer, with venv); Java 17, which Spark runs on, is installed where it is missing, and
# everything else comes from PyPI. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
python="${PYTHON:-python3}"
environment="$target/xtask/python"
package=crates/bgad-python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

if ! java -version >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends openjdk-17-jre-headless
fi

# Packages come while the compiler works.
"$python" -m venv "$environment"
"$environment/bin/pip" install --quiet -r tools/doors/python.txt &
packages=$!
cargo build --quiet -p bgad-cli
rm -rf "$target/wheels"
cargo xtask wheel --dev
wheel="$(ls "$target"/wheels/bgad-*.whl)"
wait "$packages"

# A Python of this version, on the path or of pyenv.
interpreter() {
  local found
  for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$found" -c '' 2>/dev/null; then
      echo "$found"
      return
    fi
  done
}

# Every Python from 3.10 on that is here: the wheel and what it depends on, nothing else.
for version in 3.10 3.11 3.12 3.13 3.14 3.15; do
  found="$(interpreter "$version")"
  [ -n "$found" ] || continue
  fresh="$target/xtask/python-$version"
  rm -rf "$fresh"
  "$found" -m venv "$fresh"
  "$fresh/bin/pip" install --quiet "$wheel"
  BGAD_CLI="$target/debug/bgad" "$fresh/bin/python" "$package/tests/smoke.py"
done

"$environment/bin/pip" install --quiet --force-reinstall --no-deps "$wheel"
cd "$package"
"$environment/bin/mypy" --config-file pyproject.toml python/bgad
# From outside the source folder, which has no native module.
(cd tests && "$environment/bin/stubtest" --mypy-config-file ../pyproject.toml bgad._bgad)
BGAD_CLI="$target/debug/bgad" "$environment/bin/python" -m pytest -q --durations=10 -p no:cacheprovider tests "$@"
