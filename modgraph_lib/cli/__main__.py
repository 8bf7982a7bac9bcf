"""``python -m modgraph_lib.cli``: what the command ``modgraph`` runs."""

import sys

from modgraph_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
