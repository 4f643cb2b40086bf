"""Writes README.md's table of configuration keys from Pulumi.yaml: `make readme`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- keys: written by `make readme` from Pulumi.yaml -->\n"
END = "<!-- keys end -->\n"


def table(document: Mapping[str, Any]) -> str:
    """The keys of a parsed Pulumi.yaml as a Markdown table, in its order."""
    rows = ["| Key | Default | Meaning |", "| --- | --- | --- |"]
    for key, entry in document["config"].items():
        description = entry["description"].replace("|", "\\|")
        rows.append(f"| `{key}` | {_default(entry['default'])} | {description} |")
    return "\n".join(rows) + "\n"


def _default(value: object) -> str:
    if value in ("", [], {}):
        return "not set"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def replaced(text: str, content: str) -> str:
    """The text with what stands between the two markers replaced.

    Raises:
        ValueError: not exactly one pair of markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after:
        raise ValueError(
            f"the table begins and ends with the lines {BEGIN.strip()} and {END.strip()}, once each"
        )
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def main() -> None:
    """Rewrite README.md where the table has changed."""
    readme = ROOT / "README.md"
    document = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    readme.write_text(replaced(readme.read_text(encoding="utf-8"), table(document)), encoding="utf-8")


if __name__ == "__main__":
    main()
