#!/usr/bin/env bash
# The kernels' NEON code on a processor that does not have it: built for 64-bit Arm and run in an emulator.
#
# rustup has the standard library of other processors, but not every machine reaches it; Debian's security archive keeps a
# current compiler for browsers, with the standard library of 64-bit Arm. Both are unpacked into the build folder, nothing of
# them is installed. What is installed if it is missing: a linker and the emulator.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(uname -m)" = aarch64 ]; then
  exec cargo test -p bgad-kernels
fi
missing=()
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
[ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || missing+=(libc6-dev-arm64-cross)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
place=$target/doors/neon
if [ ! -x "$place/rustc" ]; then
  dpkg --add-architecture arm64
  apt-get update -qq
fi
if [ "${#missing[@]}" -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

if [ ! -x "$place/rustc" ]; then
  rm -rf "$place"
  mkdir -p "$place/packages" "$place/root"
  compiler=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p' | head -1)
  llvm=$(apt-cache depends "$compiler" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p' | head -1)
  (cd "$place/packages" && apt-get download -qq rustc-web "$compiler" "$llvm" libz3-4 libstd-rust-web-dev libstd-rust-web-dev:arm64)
  for package in "$place"/packages/*.deb; do
    dpkg -x "$package" "$place/root"
  done
  rm -rf "$place/packages"
  libraries=$(dirname "$(find "$place/root" -name 'librustc_driver-*.so' -print -quit)")
  compiler=$(find "$place/root" -path '*/bin/rustc' -print -quit)
  cat > "$place/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH="$libraries" exec "$compiler" --sysroot "${compiler%/bin/rustc}" "\$@"
END
  chmod +x "$place/rustc"
fi

# The view of the processor is the emulator's, so the fastest instruction set that is found is NEON.
export RUSTC="$place/rustc" CARGO_TARGET_DIR="$target/doors/neon/target"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
exec cargo test -p bgad-kernels --target aarch64-unknown-linux-gnu "$@"
