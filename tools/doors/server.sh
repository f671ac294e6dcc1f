#!/usr/bin/env bash
# The server and the line against programs of others: Triton's and KServe's clients, schemathesis, curl, mosquitto, pymodbus.
# BGAD_PARTS and BGAD_FAULTY_PARTS are how many parts go through the handshake, BGAD_IDLE how many connections idle,
# BGAD_SLOW=1 waits until slow clients are thrown out: docs/serve.md has what they gave.
# usage: tools/doors/server.sh PATH_OF_BGAD [ARGUMENTS OF PYTEST]
# Needs python3 with venv, curl, openssl and mosquitto; the clients go into the target folder.
set -euo pipefail
BGAD="$(realpath "${1:?the path of the bgad binary}")"
shift
cd "$(dirname "$0")/../.."
doors="${CARGO_TARGET_DIR:-target}/doors"
tests=crates/bgad-server/tests/doors
if ! cmp -s "$tests/requirements.txt" "$doors/installed.txt"; then
  python3 -m venv "$doors/venv"
  "$doors/venv/bin/pip" install --quiet --disable-pip-version-check -r "$tests/requirements.txt"
  cp "$tests/requirements.txt" "$doors/installed.txt"
fi
if ! command -v mosquitto >/dev/null && ! [ -x /usr/sbin/mosquitto ]; then
  echo "server.sh: mosquitto is not installed (Debian: apt-get install mosquitto)" >&2
  exit 2
fi
export BGAD PYTHONDONTWRITEBYTECODE=1
# Both clients register the protocol's messages, so they cannot live in one process.
run() { "$doors/venv/bin/python" -m pytest -q --tb=short -p no:cacheprovider "$@"; }
# With a choice of tests (-k) there may be none for one of them.
run "$tests/test_kserve.py" "$@" || { code=$?; [ "$#" -gt 0 ] && [ "$code" -eq 5 ]; }
run "$tests" --ignore="$tests/test_kserve.py" "$@"
