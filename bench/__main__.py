"""`python -m bench`: see `bench/reads.py`."""

import typer

from bench.reads import main

typer.run(main)
