#!/usr/bin/env bash
# Builds the C++ with the address and undefined-behaviour sanitizers, apart from the usual build, and runs the tests of
# the kernels on it, for every instruction set that this machine runs. About five minutes; once for each release:
#
#   PYTHON=.venv/bin/python scripts/check_sanitizers.sh [arguments for pytest]
#
# The first finding ends the test run with the sanitizer's report. Needs GCC or Clang with its sanitizer libraries.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
build=${BUILD:-build/sanitized}
cmake -S csrc -B "$build" -DREGIMEN_SANITIZE=ON >/dev/null
cmake --build "$build" --parallel "$(getconf _NPROCESSORS_ONLN)"

compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
# Python itself has neither: the checks must be there before everything else, and find the C++ library when they start.
preload="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)"
[ $# -gt 0 ] || set -- tests/native tests/kernels tests/nn -m "not slow"
# One thread for torch, whose threads would spin. Leaks are not looked for: Python and torch leave much to the end of the process. Freed memory is overwritten.
OMP_NUM_THREADS=1 LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0:max_free_fill_size=65536 UBSAN_OPTIONS=print_stacktrace=1 \
  KERNELS_FROM=$build PYTHONPATH=scripts${PYTHONPATH:+:$PYTHONPATH} \
  "$python" -m pytest -p kernels_from -q -p no:cacheprovider "$@"
echo "The sanitizers found nothing."
