"""sslyze holds a site's TLS against what Mozilla calls intermediate."""

from __future__ import annotations

from dataclasses import replace

from tests.host.files import rig
from tests.host.files.variants import ACME, small
from tests.scores.tools import run, tool

NAME = "www.example.com"
SETTINGS = replace(small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, **ACME))


def test_mozillas_intermediate_but_for_the_tests_own_authority() -> None:
    with rig.host(SETTINGS) as host, rig.nginx(host):
        judged = run(
            tool("sslyze"),
            "--mozilla_config=intermediate",
            f"--sni={NAME}",
            f"127.0.0.1:{host.secure}",
        )
    said = judged.stdout[judged.stdout.index("COMPLIANCE AGAINST") :]
    deviations = [line.strip() for line in said.splitlines() if line.strip().startswith("*")]
    assert len(deviations) == 1, said
    assert "certificate_path_validation" in deviations[0]
