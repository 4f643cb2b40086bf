"""The account of the cloud that the provider `alicloud` is let into: who may, and in which region."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox import alicloud
from sandbox.cloud import ADDRESSES_VARIABLE, DEFAULT_ADDRESSES, FOLDER_VARIABLE, Cloud, Place
from sandbox.errors import SandboxError
from sandbox.resources import Kinds

# The provider's own, taken where none is set (reference: alicloud-provider.md).
PROVIDERS_REGION = "cn-beijing"
REGIONS = frozenset(
    (
        "cn-hangzhou",
        "cn-shanghai",
        "cn-beijing",
        "cn-shenzhen",
        "cn-hongkong",
        "ap-southeast-1",
        "eu-central-1",
    )
)
# So begins every access key of the real cloud; others are nobody's.
KEY_PREFIX = "LTAI"


@dataclass(frozen=True)
class Account:
    """Where a provider process works. Nothing is checked before the first call."""

    region: str
    access_key: str
    secret_key: str

    @classmethod
    def configured(cls, given: Mapping[str, Any]) -> Account:
        """Read the provider's configuration, then the environment, in the provider's order."""
        return cls(
            region=given.get("region") or _variable("REGION") or PROVIDERS_REGION,
            access_key=given.get("accessKey") or _variable("ACCESS_KEY", "ACCESS_KEY_ID"),
            secret_key=given.get("secretKey") or _variable("SECRET_KEY", "ACCESS_KEY_SECRET"),
        )

    def kinds(self) -> Kinds:
        """Return what the account has.

        Raises:
            SandboxError: it lets nobody in by these credentials, or there is no such region.
        """
        if not self.access_key or not self.secret_key:
            raise SandboxError("no valid credential sources for Alicloud Provider found.")
        if not self.access_key.startswith(KEY_PREFIX):
            raise SandboxError(
                "SDKError:\n   StatusCode: 404\n   Code: InvalidAccessKeyId.NotFound\n"
                "   Message: code: 404, Specified access key is not found."
            )
        if self.region not in REGIONS:
            raise SandboxError(
                f"dial tcp: lookup ecs.{self.region}.aliyuncs.com: no such host (region {self.region})"
            )
        return self._kinds

    @cached_property
    def _kinds(self) -> Kinds:
        folder = Path(os.environ.get(FOLDER_VARIABLE, ".sandbox")).absolute() / "account"
        addresses = os.environ.get(ADDRESSES_VARIABLE)
        place = Place(folder, ipaddress.IPv4Network(addresses) if addresses else DEFAULT_ADDRESSES)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        cloud = Cloud(place, self.region)
        return Kinds(alicloud.kinds(cloud), alicloud.data_sources(cloud))


def _variable(*names: str) -> str:
    prefixes = ("ALICLOUD_", "ALIBABA_CLOUD_")
    found = (os.environ.get(prefix + name) for name in names for prefix in prefixes)
    return next((value for value in found if value), "")
