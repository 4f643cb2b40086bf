"""What the cloud answers when it refuses, in the real provider's words, is one sentence that says what to do."""

import pulumi
import pytest

from components.asking import looked_up, refusal

SDK_ERROR = (
    "invocation of alicloud:index/getZones:getZones returned an error: invoking alicloud:index/getZones:getZones:"
    " 1 error occurred:\n\t* [ERROR] terraform-provider-alicloud/alicloud/data_source_alicloud_zones.go:200:\n"
    "[ERROR] terraform-provider-alicloud/alicloud/connectivity/client.go:300:\nSDKError:\n   StatusCode: {status}\n"
    "   Code: {code}\n   Message: code: {status}, {said} request id: 1A2B\n"
)


@pytest.mark.parametrize(
    ("status", "code", "said", "says"),
    [
        (
            404,
            "InvalidAccessKeyId.NotFound",
            "Specified access key is not found.",
            "know the key in ALICLOUD_ACCESS",
        ),
        (
            400,
            "SignatureDoesNotMatch",
            "Specified signature does not match.",
            "ALICLOUD_SECRET_KEY is not the secret",
        ),
        (
            403,
            "Forbidden.RAM",
            "User not authorized to operate.",
            "policies AliyunECSFullAccess and AliyunVPCFull",
        ),
        (
            404,
            "InvalidRegionId.NotFound",
            "The specified RegionId does not exist.",
            "alicloud:region is set to one",
        ),
        (503, "Throttling.User", "Request was denied due to user flow control.", "try again in a minute"),
    ],
)
def test_an_error_of_the_api(status: int, code: str, said: str, says: str) -> None:
    sentence = refusal(SDK_ERROR.format(status=status, code=code, said=said))
    assert sentence
    assert says in sentence
    assert "\n" not in sentence
    assert "terraform" not in sentence


def test_a_region_that_has_no_address() -> None:
    sentence = refusal(
        'Post "https://ecs.cn-nowhere.aliyuncs.com/": dial tcp: lookup ecs.cn-nowhere: no such host'
    )
    assert sentence
    assert sentence.startswith("alicloud:region is 'cn-nowhere'")


def test_what_is_not_known_is_said_in_its_own_words_in_short() -> None:
    def source() -> None:
        raise ValueError(SDK_ERROR.format(status=400, code="Strange", said="The moon is full."))

    with pytest.raises(pulumi.RunError) as raised:
        looked_up(source)
    assert str(raised.value) == "Alibaba Cloud could not be asked: The moon is full. request id: 1A2B"


def test_an_answer_comes_through() -> None:
    assert looked_up(lambda answer: answer, "zones") == "zones"
