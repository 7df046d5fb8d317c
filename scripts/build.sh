#!/usr/bin/env bash
# Builds dist/: the eBPF objects (dist/bpf/*.bpf.o) and the JavaScript that node runs (dist/**/*.js).
# --bpf-only stops after the eBPF objects.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

mkdir -p dist/bpf
arch=$(uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

# compile OBJECT FLAG...: the data plane. Rebuilt only when a source is newer: the object's identity decides whether a
# restart replaces a program.
compile() {
  local object=$1
  shift
  if [ -f "$object" ] && [ -z "$(find src/encap/kernel -newer "$object" -print -quit)" ]; then return; fi
  clang -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_"$arch" "$@" -Wall -Wextra -Werror \
    -idirafter "/usr/include/$(uname -m)-linux-gnu" -c src/encap/kernel/hnvgw.bpf.c -o "$object.tmp"
  llvm-strip -g "$object.tmp"
  mv "$object.tmp" "$object"
}
compile dist/bpf/hnvgw.bpf.o
compile dist/bpf/hnvgw-slow.bpf.o -DHNV_SLOW # without the fast path, for kernels without conntrack's eBPF functions
[ "${1:-}" = --bpf-only ] && exit 0

tsc -p tsconfig.json
chmod +x dist/cli/main.js
