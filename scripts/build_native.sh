#!/usr/bin/env bash
# Builds the C++ kernels into the source tree, where `PYTHONPATH=src` and an editable install find them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${BUILD:-build/native}
cmake -S csrc -B "$build" -DCMAKE_BUILD_TYPE=Release "$@" >/dev/null
cmake --build "$build" --parallel "$(getconf _NPROCESSORS_ONLN)"
# By renaming: a process that has a library open keeps the old one, and none ever sees half a file.
for library in "$build"/regimen_*.so; do
  cp "$library" "$library.new"
  mv -f "$library.new" src/regimen/kernels/"${library##*/}"
done
