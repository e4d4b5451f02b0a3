#!/usr/bin/env bash
# Does it compile for macOS? Where rustup has the target aarch64-apple-darwin, `cargo check` with its real standard library;
# elsewhere a lint of what can be seen without it, which says that it is no more. Nothing is downloaded for this.
#
# Nothing is linked, so C code need not be compiled: a compiler that makes empty files takes the place of Apple's.
# What neither can see is how the program runs there.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=aarch64-apple-darwin

# Dependencies that are for Linux only, and what only Linux has, named without asking which system it is.
lint() {
  local tree bad="" file
  tree=$(cargo tree --locked --target "$target" --edges normal --prefix none "$@")
  bad+=$(grep -E '^(inotify|io-uring|libsystemd|linux-raw-sys|procfs|sd-notify|systemd|tokio-uring)[^ ]* ' <<< "$tree" || true)
  for file in $(grep -rlE 'std::os::linux|rustix::(event::epoll|fs::(memfd|inotify))' \
    crates/{bridge,cli,client,model,server,store}/src --include='*.rs'); do
    grep -q 'target_os = "linux"' "$file" || bad+="$file names what only Linux has"$'\n'
  done
  if [ -n "$bad" ]; then
    printf '%s\n' "$bad" >&2
    exit 1
  fi
  echo "not compiled for macOS: rustup has no $target here (rustup target add $target). Dependencies and cfgs are well." >&2
}

if ! rustup target list --installed | grep -qx "$target"; then
  lint "$@"
  exit 0
fi

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
