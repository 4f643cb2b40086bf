"""What holds for every test. Each folder has its own stand-ins and tools beside its tests."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # The providers' packages warn about each other's old names at import.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:pulumi_(alicloud|command)")


@pytest.fixture(autouse=True)
def no_configuration_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack selected in the caller's shell would be read as this program's configuration."""
    for name in [name for name in os.environ if name.startswith("PULUMI_CONFIG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALICLOUD_REGION", "cn-hangzhou")
