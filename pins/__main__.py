"""`make renew`: everything that the registries have newer versions of, and a list of what a person has to look at."""

from __future__ import annotations

import sys
from itertools import groupby

from pins import renew
from pins.table import by_hand

# What the lock files are resolved from comes before them.
_STEPS = {
    "pins, by the package index": renew.index,
    "lock files": renew.locks,
    "the standalone Python": renew.standalone_python,
    "npm": renew.npm,
    "Pulumi's CLI for the tests": renew.go,
}


def main() -> int:
    """Go through all, whatever fails."""
    failed = False
    for what, step in _STEPS.items():
        print(f"{what}:", flush=True)
        try:
            print("\n".join(f"  {line}" for line in step() or ["nothing newer"]), flush=True)
        except renew.RenewalError as error:
            failed = True
            print(f"  FAILED: {error}".replace("\n", "\n  "), flush=True)
    print("\nNot renewed, to be looked at:")
    for (file, how), names in groupby(by_hand(), key=lambda pin: (pin[0], pin[2])):
        print(f"  {file}: {', '.join(name for _, name, _ in names)}: {how}")
    print("\nThen: git diff, make setup, make test, make audit.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
