"""gixy reads nginx's files for what is known to go wrong with them."""

from __future__ import annotations

import pytest

from tests.host.files import rig
from tests.host.files.variants import VARIANTS
from tests.scores.judges import gixy, gixy_of_files


@pytest.mark.parametrize("variant", VARIANTS)
def test_gixy_has_nothing_to_say(variant: str) -> None:
    assert gixy(VARIANTS[variant]) == []


def test_gixy_would_say_it() -> None:
    """Guards the test above: it reads what is included, and complains."""
    with rig.host(VARIANTS["debian12-unix-address"]) as host:
        file = host.root / "etc/nginx/flask/hidden_files.conf"
        file.write_text(file.read_text() + "\nlocation /files { alias /srv/files/; }\n")
        found = gixy_of_files(host.nginx_conf)
    assert "alias_traversal" in {finding["plugin"] for finding in found}
