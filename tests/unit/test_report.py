"""How the report of the measurements prints numbers."""

import pytest

from bench.report import Figure, table


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0, "0"), (2.296, "2.3"), (0.15234, "0.152"), (383.4, "383"), (999.4, "999"), (999.6, "1,000"),
        (1674.2, "1,674"), (51629, "51,629"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_numbers_are_printed_without_an_exponent(value: float, printed: str) -> None:
    assert table([Figure("it", value, "ms", "≤ 5")]).splitlines()[-1] == f"| it | {printed} ms | ≤ 5 |"
