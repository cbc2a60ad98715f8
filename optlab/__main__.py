"""`python -m optlab` is the command line."""

from optlab.cli import main

main()
