#!/usr/bin/env bash
# Builds the wheel and uses it as a stranger would: in a fresh environment, outside the repository.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# PIP_CONSTRAINT, unlike -c, also binds the isolated environment that builds the wheel.
export PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
rm -f dist/torch_regimen-*.whl
"$python" -m pip wheel . --no-deps --wheel-dir dist --quiet
wheels=(dist/torch_regimen-*.whl)

"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install -c constraints.txt --quiet "${wheels[0]}"

cd "$scratch"
unset PYTHONPATH PIP_CONSTRAINT
venv/bin/python - <<'PYTHON'
"""The installed package is complete and is not the repository's."""
import importlib.metadata
import importlib.resources
import pathlib
import sys

import regimen

folder = pathlib.Path(regimen.__file__)
assert folder.is_relative_to(sys.prefix), f"regimen was imported from {folder}, not from the wheel"
assert importlib.metadata.version("torch-regimen") == regimen.__version__
assert importlib.resources.files("regimen").joinpath("py.typed").is_file(), "py.typed is missing from the wheel"
PYTHON
venv/bin/regimen info
venv/bin/regimen study iris --techniques dropout --pairs 2 --epochs 2 --budget 40runs --out study
for file in results.json report.html recipe.toml model.safetensors model.json; do
  test -s "study/$file" || { echo "regimen study wrote no $file" >&2; exit 1; }
done
rm study/report.html
venv/bin/regimen report study
test -s study/report.html || { echo "regimen report wrote no report.html" >&2; exit 1; }
echo "The wheel works outside the repository: ${wheels[0]##*/}"

# Without a compiler the package still installs, as pure Python, and says so. From a copy: a build folder would remember.
mkdir source
cp -r "$OLDPWD"/{src,csrc,pyproject.toml,README.md,LICENSE} source/
rm -f source/src/regimen/kernels/*.so
PIP_CONSTRAINT="$OLDPWD/constraints.txt" CXX=/bin/false "$scratch/venv/bin/python" -m pip wheel ./source --no-deps --wheel-dir pure --quiet
pure=(pure/torch_regimen-*-py3-none-any.whl)
venv/bin/python -m pip install --quiet --no-deps --force-reinstall "${pure[0]}"
venv/bin/regimen info | grep -E "auto +stands for reference"
venv/bin/regimen study iris --techniques dropout --pairs 2 --epochs 2 --budget 40runs --out pure-study
test -s pure-study/report.html || { echo "the install without a compiler wrote no report.html" >&2; exit 1; }
echo "The install without a compiler works: ${pure[0]##*/}"
