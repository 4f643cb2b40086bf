"""MDN's HTTP Observatory reads the sample application's headers and cookies as a browser gets them."""

from __future__ import annotations

from pathlib import Path

from tests.scores.judges import observatory

# Grade A+.
BAR = 100


def test_the_sample_application_gets_an_a_plus_with_the_default_keys(tmp_path: Path) -> None:
    judged = observatory(tmp_path)
    worse = {name: test["result"] for name, test in judged["tests"].items() if test["scoreModifier"] < 0}
    assert worse == {}
    assert judged["scan"]["score"] >= BAR, judged
    assert judged["scan"]["grade"] == "A+"
