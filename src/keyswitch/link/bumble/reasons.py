"""Why a connection ended, in words (Core spec Vol 1 Part F 1.3)."""

from bumble import hci

_WORDS: dict[int, str] = {
    hci.HCI_ErrorCode.SUCCESS: "the controller is gone",  # what Bumble says when the transport has ended
    hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR: "supervision timeout: the peer is not heard any more",
    hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR: "ended by the peer",
    hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR: "ended here",
    hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR: "the peers have different keys",
    hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR: "never established",
    hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR: "the peer has forgotten the bond",
    hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR: "authentication failure",
}


def reason_words(reason: int) -> str:
    """The reason for people."""
    return _WORDS.get(reason) or f"HCI reason {reason:#04x}"
