#!/usr/bin/env bash
# The studio's own checks: front end, committed build, and a browser on the real program.
#
#   tools/doors/studio.sh path/to/bgad
#
# With PICTURES=1 the pictures in docs/images are taken anew.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=$(realpath "${1:?the path of the bgad program}")
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium
fi
cd "$here/studio"
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
