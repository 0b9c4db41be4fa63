#!/usr/bin/env bash
# Builds the C++ kernels into the source tree, where `PYTHONPATH=src` and an editable install find them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${BUILD:-build/native}
cmake -S csrc -B "$build" -DCMAKE_BUILD_TYPE=Release "$@" >/dev/null
cmake --build "$build" --parallel
cp "$build"/regimen_*.so src/regimen/kernels/
