"""Start of the tool: `python3 <this folder> <command>`."""

import sys
from pathlib import Path

# The parent of this folder makes it a package; the folder itself would make its modules ones of their own.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

# The release tool stands beside it on every host, and in every bundle.
from flask_release import utf8  # noqa: E402

utf8.ensure()

from flask_certificate.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
