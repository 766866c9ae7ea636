"""The command line: parse, call, render. Start is `main`; commands are in the modules beside it."""

from whorl.cli.app import main

__all__ = ["main"]
