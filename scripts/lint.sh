#!/usr/bin/env bash
# Lint and format check of TypeScript and C; changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

biome check --error-on-warnings .
clang-format --dry-run --Werror src/encap/kernel/*.[ch]
