"""Start of the tool: `python3 <this folder> <command>`."""

import sys
from pathlib import Path

# A folder given to the interpreter stands first on the import path: from there `archive` or `lock` would be
# modules of their own, and could hide one of the standard library. Its parent makes them a package.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from flask_release import utf8  # noqa: E402

utf8.ensure()

from flask_release.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
