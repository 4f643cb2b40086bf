"""sslyze holds a site's TLS against what Mozilla calls intermediate."""

from __future__ import annotations

from tests.scores.judges import OWN_AUTHORITY, sslyze


def test_mozillas_intermediate_but_for_the_tests_own_authority() -> None:
    deviations = sslyze()
    assert len(deviations) == 1, deviations
    assert OWN_AUTHORITY in deviations[0]
