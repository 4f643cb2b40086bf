"""Looking something up in the cloud, so that what it refuses is one sentence instead of a traceback.

The program asks before it makes anything: a key that is missing or wrong shows here first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pulumi

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Text of the provider (terraform-provider-alicloud 1.285) and of the API, and what to do. The first that fits counts.
_KNOWN = {
    r"no valid credential sources": (
        "Alibaba Cloud wants credentials, and there are none: set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY."
    ),
    r"InvalidAccessKeyId|InvalidAccessKey\b|Specified access key is not (?:found|valid)": (
        "Alibaba Cloud does not know the key in ALICLOUD_ACCESS_KEY: it is wrong, disabled or deleted."
    ),
    r"SignatureDoesNotMatch|IncompleteSignature|InvalidSignature": (
        "ALICLOUD_SECRET_KEY is not the secret of the key in ALICLOUD_ACCESS_KEY."
    ),
    r"InvalidSecurityToken": (
        "ALICLOUD_SECURITY_TOKEN is not valid, or no longer; get new credentials, or unset it if the key is your own."
    ),
    r"Forbidden|NoPermission|Unauthorized": (
        "the account of ALICLOUD_ACCESS_KEY may not do this; give it the policies AliyunECSFullAccess and"
        " AliyunVPCFullAccess. Alibaba Cloud says: {said}"
    ),
    r"no such host|InvalidRegionId|RegionId.NotFound|invalid region": (
        "alicloud:region is {region} that Alibaba Cloud does not have, or whose address cannot be looked up from here;"
        " regions are cn-hangzhou, cn-shanghai, cn-beijing, ap-southeast-1, eu-central-1 and others."
    ),
    r"Throttling|ServiceUnavailable|TooManyRequests": (
        "Alibaba Cloud takes no more requests from this account for the moment; try again in a minute."
    ),
    r"i/o timeout|connection refused|connection reset|TLS handshake|context deadline exceeded": (
        "Alibaba Cloud cannot be reached from here: {said}"
    ),
}
_SHOWN = 300


def looked_up(source: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what a data source answers.

    Raises:
        pulumi.RunError: it was refused; says why and what to do.
    """
    try:
        return source(*args, **kwargs)
    except pulumi.RunError:
        raise
    except Exception as error:
        text = str(error)
        raise pulumi.RunError(refusal(text) or f"Alibaba Cloud could not be asked: {_short(text)}") from error


def refusal(text: str) -> str | None:
    """Return what the account, its region or the network refuses, as a sentence that says what to do; None: nothing."""
    for pattern, message in _KNOWN.items():
        if re.search(pattern, text):
            region = re.search(r"\b(?:ecs|vpc)[.-](?P<region>[a-z0-9-]+)\.aliyuncs\.com", text)
            return message.format(
                said=_short(text), region=repr(region["region"]) if region else "set to one"
            )
    return None


def _short(text: str) -> str:
    """The message in an error of the provider, without its stack of callers and the addresses of its sources."""
    found = re.search(r"Message: (?:code: \d+, )?(?P<message>[^\n]+)", text)
    if found:
        return found["message"].strip()[:_SHOWN]
    words = re.sub(
        r"^.*?(?:rpc error: code = \w+ desc = |invocation of \S+ returned an error: )", "", text, flags=re.S
    )
    return " ".join(words.split())[:_SHOWN] or "no reason was given"
