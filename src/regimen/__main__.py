"""`python -m regimen` is the command `regimen`."""

import sys

from regimen.cli import main

# Worker processes import this module too, under another name.
if __name__ == "__main__":
    sys.exit(main())
