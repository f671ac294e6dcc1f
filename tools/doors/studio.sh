#!/usr/bin/env bash
# The studio's own checks: front end, committed build, and a browser on the real program.
#
#   tools/doors/studio.sh path/to/bgad
#
# Needs Node 20.19 or newer with npm; what is missing of Node and Chromium comes from Debian, the packages of the front end
# from npm. With PICTURES=1 the pictures in docs/images are taken anew.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=$(realpath "${1:?the path of the bgad program}")
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
missing=()
[ -x "$CHROMIUM" ] || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
cd "$here/studio"
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
    echo "the studio's checks need Node 20.19 or newer, found $(node --version)" >&2
    exit 2
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
