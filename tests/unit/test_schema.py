"""Pulumi.yaml: what a user sees of the configuration before the program runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import keys_table

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
SCHEMA: dict[str, dict[str, Any]] = DOCUMENT["config"]
PYTHON_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


@pytest.mark.parametrize("key", SCHEMA)
def test_each_key_has_a_type_a_description_and_a_default(key: str) -> None:
    entry = SCHEMA[key]
    assert set(entry) <= {"type", "items", "description", "default"}
    assert type(entry["default"]) is PYTHON_TYPES[entry["type"]]
    assert (entry["type"] == "array") == ("items" in entry)
    # One line of Markdown: it is a cell of the table in README.md.
    assert re.fullmatch(r"[^|\n]{10,}\.", entry["description"])


def test_keys_are_named_as_pulumi_names_them() -> None:
    assert [key for key in SCHEMA if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", key)] == []


def test_the_runtime_has_all_that_it_is_told_to_run() -> None:
    """Pulumi installs requirements.txt alone; a type checker named here and not in there fails every preview."""
    options = DOCUMENT["runtime"]["options"]
    assert (options["toolchain"], options["virtualenv"]) == ("pip", ".venv")
    if "typechecker" in options:
        assert re.search(
            rf"^{options['typechecker']}==", (ROOT / "requirements.txt").read_text(), re.MULTILINE
        )


@pytest.mark.parametrize("stack", sorted(path.name for path in ROOT.glob("Pulumi.*.yaml")))
def test_the_example_stacks_use_keys_that_exist(stack: str) -> None:
    config = yaml.safe_load((ROOT / stack).read_text())["config"]
    for name, value in config.items():
        namespace, _, key = name.partition(":")
        if namespace == DOCUMENT["name"]:
            assert isinstance(value, PYTHON_TYPES[SCHEMA[key]["type"]]), name
        else:
            assert namespace == "alicloud", name


def test_the_readmes_table_is_in_step() -> None:
    """`make readme` writes it."""
    readme = (ROOT / "README.md").read_text()
    assert keys_table.replaced(readme, keys_table.table(DOCUMENT)) == readme
    assert [key for key in SCHEMA if f"| `{key}` |" not in readme] == []


def test_a_readme_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="begins and ends"):
        keys_table.replaced("# Title\n", "table\n")
