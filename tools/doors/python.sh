#!/usr/bin/env bash
# The Python package as its users get it: the wheel, installed into environments of its own, beside Ray and Spark, and compared
# with the command line. Needs python3 (3.10 or newer, with venv) and Java 17; everything else comes from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
python="${PYTHON:-python3}"
environment="$target/xtask/python"
package=crates/bgad-python
export PIP_DISABLE_PIP_VERSION_CHECK=1

cargo build --quiet -p bgad-cli
rm -rf "$target/wheels"
cargo xtask wheel --dev
wheel="$(ls "$target"/wheels/bgad-*.whl)"

# Every Python from 3.10 on that is here: the wheel and what it depends on, nothing else.
for version in 3.10 3.11 3.12 3.13 3.14; do
  interpreter="python$version"
  "$interpreter" -c '' 2>/dev/null || continue
  fresh="$target/xtask/python-$version"
  "$interpreter" -m venv "$fresh"
  "$fresh/bin/pip" install --quiet --force-reinstall "$wheel"
  BGAD_CLI="$target/debug/bgad" "$fresh/bin/python" "$package/tests/smoke.py"
done

"$python" -m venv "$environment"
"$environment/bin/pip" install --quiet -r tools/doors/python.txt
"$environment/bin/pip" install --quiet --force-reinstall --no-deps "$wheel"

cd "$package"
"$environment/bin/mypy" --config-file pyproject.toml python/bgad
# From outside the source folder, which has no native module.
(cd tests && "$environment/bin/stubtest" --mypy-config-file ../pyproject.toml bgad._bgad)
BGAD_CLI="$target/debug/bgad" "$environment/bin/python" -m pytest -q --durations=10 -p no:cacheprovider tests "$@"
