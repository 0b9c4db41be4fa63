"""What holds for every test: examples in the documentation and in docstrings run, and laws are tried reproducibly."""

import os
import signal
import tempfile
from doctest import ELLIPSIS
from pathlib import Path
from typing import Any

from hypothesis import settings
from sybil import Sybil
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser

# Before anything imports torch: results are defined at one intra-op thread, and small nets are fastest with it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Jobs started in the background of a script inherit an ignored Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a busy machine must not fail a law. In CI the same examples are tried every time.
settings.register_profile("regimen", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("regimen")


def enter_scratch_folder(namespace: dict[str, Any]) -> None:
    """Let the examples of one document write files without leaving any in the repository."""
    scratch = tempfile.TemporaryDirectory()
    namespace["_leave"] = (Path.cwd(), scratch)
    os.chdir(scratch.name)


def leave_scratch_folder(namespace: dict[str, Any]) -> None:
    """Undo `enter_scratch_folder`."""
    home, scratch = namespace["_leave"]
    os.chdir(home)
    scratch.cleanup()


pages = Sybil(
    name="page",
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)],
    patterns=["*.md"],
    setup=enter_scratch_folder,
    teardown=leave_scratch_folder,
)
docstrings = Sybil(
    name="docstring",
    parsers=[DocTestParser(ELLIPSIS)],
    path="src",
    patterns=["*.py"],
    setup=enter_scratch_folder,
    teardown=leave_scratch_folder,
)
pytest_collect_file = (pages + docstrings).pytest()
