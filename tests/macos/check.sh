#!/usr/bin/env bash
# Does it compile for macOS? `cargo check` with the real standard library of aarch64-apple-darwin, on any machine.
#
# Nothing is linked, so C code need not be compiled: a compiler that makes empty files takes the place of Apple's.
# What this can't see is how the program runs there.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=aarch64-apple-darwin
rustup target list --installed | grep -qx "$target" || rustup target add "$target"

stub=$(mktemp -d)
trap 'rm -rf "$stub"' EXIT
cat > "$stub/cc" <<'STUB'
#!/bin/sh
# Makes whatever is to be made, empty.
while [ $# -gt 0 ]; do
  case "$1" in
    -o) shift; : > "$1" ;;
    -o*) : > "${1#-o}" ;;
  esac
  shift
done
STUB
cat > "$stub/ar" <<'STUB'
#!/bin/sh
for made in "$@"; do case "$made" in *.a) : > "$made" ;; esac; done
STUB
chmod +x "$stub/cc" "$stub/ar"
: > "$stub/libjemalloc.a"

export CC_aarch64_apple_darwin="$stub/cc" CXX_aarch64_apple_darwin="$stub/cc" AR_aarch64_apple_darwin="$stub/ar"
export SDKROOT="$stub" JEMALLOC_OVERRIDE="$stub/libjemalloc.a"
cargo check --locked --target "$target" "$@"
