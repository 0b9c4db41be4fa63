"""The command line: thin commands over the package, one clear message for every wrong input."""

from regimen.cli.commands import app, main

__all__ = ["app", "main"]
