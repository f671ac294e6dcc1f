#!/usr/bin/env bash
# Exported models against programs of others: ONNX Runtime, OpenVINO, anomalib's OpenVINOInferencer. The demo's parts, every image.
# usage: tools/doors/onnx.sh PATH_OF_BGAD
# Needs python3 with venv; the runtimes go into the target folder.
set -euo pipefail
BGAD="$(realpath "${1:?the path of the bgad binary}")"
cd "$(dirname "$0")/../.."
doors="$(realpath -m "${CARGO_TARGET_DIR:-target}")/doors"
environment="$doors/onnx-venv"
work="$doors/onnx"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
if ! cmp -s tools/doors/onnx.txt "$doors/onnx-installed.txt"; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet -r tools/doors/onnx.txt
  # Only the one file of it that runs models is used: with what it depends on, anomalib is larger than everything else here.
  "$environment/bin/pip" install --quiet --no-deps "anomalib==2.7.*"
  cp tools/doors/onnx.txt "$doors/onnx-installed.txt"
fi
rm -rf "$work"
mkdir -p "$work"
"$BGAD" demo --out "$work/demo" >"$work/demo.txt"
cd "$work"
"$environment/bin/python" "$OLDPWD/tools/doors/onnx_runtimes.py" "$BGAD" "$work/demo/model.bgad" "$work/demo/data/test" --all
