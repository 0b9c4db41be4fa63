"""Puts small faults into copies of the C++ sources, one at a time, and demands that the tests notice each.

    python scripts/check_mutations.py [--out benchmarks/results/mutations.json] [part of a file's name …]

Builds the best instruction set of this machine, apart from the usual build. About ten seconds for each fault of
`mutations.toml`; fails if a fault is not noticed, or if the tests fail without one.
"""

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from regimen.kernels.native import find_kernels
from regimen.study.environment import processor

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
# A fault may keep a run from ending. Far longer than tests take on a busy machine: slowness must not pass for notice.
MOST_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One change to one source, and where the tests are that should notice it."""

    file: str
    what: str
    old: str
    new: str
    tests: tuple[str, ...]
    isa: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a fault: the test that noticed it, empty if none did."""

    file: str
    what: str
    noticed_by: str


def faults(wanted: list[str]) -> list[Fault]:
    """Return the faults of the table, those in the files wanted."""
    table = tomllib.loads((SCRIPTS / "mutations.toml").read_text(encoding="utf-8"))["fault"]
    found = [Fault(**{**row, "tests": tuple(row["tests"])}) for row in table]
    return [fault for fault in found if not wanted or any(part in fault.file for part in wanted)]


def build(folder: Path, isa: str) -> None:
    """Build one library from the sources in `folder`."""
    steps = (
        ["-S", folder / "csrc", "-B", folder / "build"],
        ["--build", folder / "build", "--target", f"regimen_{isa}"],
    )
    for step in steps:
        subprocess.run(
            ["cmake", *step, *(["--parallel", str(os.cpu_count())] if step[0] == "--build" else [])],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def first_failure(folder: Path, tests: tuple[str, ...], *, limit: float | None = MOST_SECONDS) -> str:
    """Return the first test that fails with the library in `folder`, empty if none does."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "kernels_from",
        "-p",
        "no:cacheprovider",
        "-x",
        "-q",
        "--no-header",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "REGIMEN_ISA"}
    paths = [str(SCRIPTS), *filter(None, [environment.get("PYTHONPATH")])]
    # One thread for torch: its threads wait for each other by spinning, which on a busy machine takes minutes.
    environment |= {
        "KERNELS_FROM": str(folder / "build"),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            [*command, "-m", "not slow", *tests],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"a test of {tests[0]} that did not end"
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return failed[1] if failed else f"a test of {tests[0]} that ended the process ({done.returncode})"


def check(fault: Fault, folder: Path, isa: str) -> Finding:
    """Put in one fault, build, test, and take it out again."""
    source = folder / "csrc" / fault.file
    right = source.read_text(encoding="utf-8")
    if right.count(fault.old) != 1:
        raise SystemExit(f"{fault.file}: expected exactly once, found {right.count(fault.old)} times: {fault.old}")
    source.write_text(right.replace(fault.old, fault.new), encoding="utf-8")
    try:
        build(folder, isa)
        return Finding(file=fault.file, what=fault.what, noticed_by=first_failure(folder, fault.tests))
    finally:
        source.write_text(right, encoding="utf-8")


def main() -> int:
    """Check all faults and print a table of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wanted", nargs="*", help="only faults in files with one of these in their name")
    parser.add_argument("--out", type=Path, help="write the findings there, as JSON")
    options = parser.parse_args()
    kernels = find_kernels()
    if kernels is None:
        raise SystemExit("no kernels are built; scripts/build_native.sh builds them")
    chosen = [fault for fault in faults(options.wanted) if fault.isa in (None, kernels.isa)]
    findings = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(ROOT / "csrc", folder / "csrc")
        build(folder, kernels.isa)
        every = tuple(sorted({test for fault in chosen for test in fault.tests}))
        if failed := first_failure(folder, every, limit=None):
            raise SystemExit(f"without any fault, {failed} fails")
        for fault in chosen:
            findings.append(check(fault, folder, kernels.isa))
            found = findings[-1]
            print(f"{found.file:<20} {found.what:<70} {found.noticed_by or 'NOT NOTICED'}", flush=True)
    unnoticed = [finding for finding in findings if not finding.noticed_by]
    print(f"{len(findings) - len(unnoticed)} of {len(findings)} faults were noticed ({kernels.isa})")
    if options.out:
        record = {
            "what": "faults put into the C++ sources one at a time, and the first test that fails",
            "date": datetime.date.today().isoformat(),
            "commit": subprocess.run(
                ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
            ).stdout.strip(),
            "processor": processor(),
            "instruction_set": kernels.isa,
            "noticed": len(findings) - len(unnoticed),
            "faults": [asdict(finding) for finding in findings],
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
