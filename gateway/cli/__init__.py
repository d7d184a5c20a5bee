"""The command line: `gateway --help`."""

from gateway.cli.main import app

__all__ = ["app"]
