"""``python -m tests.golden``: write the golden file anew and show the lines that differ."""

import difflib
import os
import sys
import tempfile

from tests.golden.verdicts import FILE, today


def main() -> None:
    """Committed rows only: a local cache must not get into a committed file."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MODGRAPH_CACHE"] = cache
        lines = today()
    before = FILE.read_text("utf8").splitlines() if FILE.exists() else []
    FILE.write_text("\n".join(lines) + "\n", "utf8")
    sys.stdout.writelines(
        f"{line}\n" for line in difflib.unified_diff(before, lines, "before", "now", "", "", 0, "")
    )


if __name__ == "__main__":
    main()
