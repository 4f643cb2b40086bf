"""What is made of the errors of a run under Pulumi's engine."""

from automation.pulumi_errors import accounts_cause, own_words, sentence, with_hint
from progress import Operation, Step

RELEASE = Step(Operation.CREATE, "Command", "web-release")
NETWORK = Step(Operation.CREATE, "Network", "web-vpc")
INSTANCE = Step(Operation.CREATE, "Instance", "web-debian12")
WRONG_KEY = "Code: InvalidAccessKeyId.NotFound\nMessage: code: 404, Specified access key is not found."


def test_what_the_cloud_refuses_of_all_is_said_once() -> None:
    cause = accounts_cause([(NETWORK, WRONG_KEY), (INSTANCE, WRONG_KEY)])
    assert cause is not None
    assert "ALICLOUD_ACCESS_KEY" in cause


def test_what_the_application_says_is_not_taken_for_the_clouds_word() -> None:
    for said in ("ConnectionRefusedError: connection refused", "403 Forbidden", "i/o timeout", WRONG_KEY):
        assert accounts_cause([(RELEASE, said)]) is None
        assert accounts_cause([(RELEASE, said), (NETWORK, WRONG_KEY)]) is None


def test_a_step_that_failed_for_a_reason_of_its_own_keeps_it() -> None:
    assert accounts_cause([(INSTANCE, "OperationDenied.NoStock"), (NETWORK, WRONG_KEY)]) is None
    assert accounts_cause([]) is None


def test_the_wrapping_of_an_error_is_left_out() -> None:
    text = "\n code: 255\n stdout: \n stderr: error: update failed\nerror: the disk is full\nerror: the disk is full\n"
    assert own_words(text.splitlines()) == "the disk is full"
    program = "adminCidrs is empty\nan unhandled error occurred: program exited with non-zero exit code: 1\n"
    assert sentence("dev", program) == "adminCidrs is empty"


def test_a_server_that_does_not_answer_is_a_hint_and_other_failures_are_not() -> None:
    error = "after 10 failed attempts: dial tcp 203.0.113.7:22: connect: connection refused"
    assert "./ops up dev --refresh" in with_hint("dev", error)
    other = "psycopg.OperationalError: connection refused"
    assert with_hint("dev", other) == other
