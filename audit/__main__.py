"""`make audit`: ends with 0 when all was judged and nothing was found. The results are in .build/audit."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from audit import known, materials
from audit.advisories import Database, served
from audit.places import RESULTS, ROOT, TOOLS

_NOBODY = """\
NOT JUDGED: nobody could be asked about known vulnerabilities. Neither the package index nor OSV knew of a version
that is known to be vulnerable. Run this where one of them is reached, or give it a checkout of PyPA's advisory
database: make audit ADVISORIES=folder"""
# Days after which a database says little of what is installed today.
_OLD = 30


def main() -> int:
    """Run everything, whatever the others find."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {_versions()}")
    good = [_known(os.environ.get("ADVISORIES")), _bandit(), _materials()]
    return 0 if all(good) else 1


def _known(folder: str | None) -> bool:
    print("\nKnown vulnerabilities (pip-audit)")
    with contextlib.ExitStack() as until_done:
        url, fresh = None, True
        if folder:
            database = Database(Path(folder))
            url = until_done.enter_context(served(database))
            fresh = _is_fresh(database)
        options = known.service(url)
        if options is None:
            print(_NOBODY)
            return False
        everything = known.ask(options)
    for found in everything:
        print(f"{found.what}: {found.judged} judged, {len(found.vulnerable)} found")
        for word, lines in (
            ("", found.vulnerable),
            ("accepted: ", found.accepted),
            ("not judged: ", found.skipped),
        ):
            for line in lines:
                print(f"  {word}{line}")
    return fresh and not any(found.vulnerable or found.skipped for found in everything)


def _is_fresh(database: Database) -> bool:
    newest = database.newest()
    days = (datetime.datetime.now(datetime.UTC).date() - newest).days
    print(f"by a database whose newest record is of {newest}, {days} days ago")
    if days > _OLD:
        print(f"TOO OLD: what became known since is not in it; at most {_OLD} days would do.")
    return days <= _OLD


def _bandit() -> bool:
    print("\nThe project's own code (bandit; what is left out and why is in pyproject.toml)")
    output = RESULTS / "bandit.json"
    command = [str(TOOLS / "bandit"), "--quiet", "--recursive", ".", "--configfile", "pyproject.toml"]
    done = subprocess.run(
        [*command, "--format", "json", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(output.read_text())
    print(f"{report['metrics']['_totals']['loc']:,} lines, {len(report['results'])} found")
    for one in report["results"]:
        print(f"  {one['filename']}:{one['line_number']}: {one['test_id']} {one['issue_text']}")
    for one in report["errors"]:
        print(f"  not read: {one['filename']}: {one['reason']}")
    return done.returncode == 0 and not report["errors"]


def _materials() -> bool:
    print("\nBills of materials (CycloneDX 1.6)")
    for name, count in materials.write().items():
        print(f"{(RESULTS / name).relative_to(ROOT)}: {count} components")
    return True


def _versions() -> str:
    listed = subprocess.run(
        [TOOLS / "python", "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    versions = {
        entry["name"].lower().replace("_", "-"): entry["version"] for entry in json.loads(listed.stdout)
    }
    return ", ".join(f"{name} {versions[name]}" for name in ("pip-audit", "bandit", "cyclonedx-bom"))


if __name__ == "__main__":
    sys.exit(main())
