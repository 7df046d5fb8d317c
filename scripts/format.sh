#!/usr/bin/env bash
# Formats TypeScript and C in place, and mends what the linter can mend.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

biome check --write .
clang-format -i src/encap/kernel/*.[ch]
