#!/usr/bin/env bash
# Makes crates/bgad/fonts/Inter-Medium.subset.otf from Inter-Medium.otf (Debian package fonts-inter), with pyftsubset of fonttools.
set -euo pipefail
cd "$(dirname "$0")/../.."
pyftsubset "${1:?usage: tools/fonts/subset.sh Inter-Medium.otf}" \
  --unicodes=U+0020-007E,U+00A0-017F,U+2013,U+2014,U+2018,U+2019,U+201C,U+201D,U+2026,U+2030,U+00D7,U+2264,U+2265 \
  --layout-features='' --no-hinting --desubroutinize --name-IDs='*' \
  --output-file=crates/bgad/fonts/Inter-Medium.subset.otf
