"""What stands of all that people asked for."""

from pathlib import Path

import pytest

from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.campaign.orders import OrderKind, Standing, read_standing, record
from keyswitch.errors import InputError

CAMPAIGN = Campaign(name="tray", digest="", devices=(), waves=())
BEGIN, RESUME, RETRY = OrderKind.BEGIN, OrderKind.RESUME, OrderKind.RETRY
PAUSE, ABORT, APPROVE = OrderKind.PAUSE, OrderKind.ABORT, OrderKind.APPROVE


@pytest.mark.parametrize(
    ("asked", "paused", "aborted", "approved"),
    [
        ([], False, False, []),
        ([BEGIN], False, False, []),
        ([BEGIN, PAUSE], True, False, []),
        ([BEGIN, PAUSE, RESUME], False, False, []),
        ([BEGIN, PAUSE, RESUME, PAUSE], True, False, []),
        ([BEGIN, APPROVE, PAUSE, RESUME], False, False, [2]),
        ([BEGIN, ABORT, RESUME], False, True, []),  # an abort is for good
        ([BEGIN, APPROVE, ABORT, "campaign ended", RETRY], False, False, []),
    ],
)
def test_what_stands(tmp_path: Path, asked: list[OrderKind | str], paused: bool, aborted: bool, approved: list[int]):
    files = CampaignFiles(directory=tmp_path)
    for kind in asked:
        record(files, kind, CAMPAIGN, **({"wave": 2} if kind is APPROVE else {}))
    stands = read_standing(files)
    assert (stands.paused is not None, stands.aborted is not None) == (paused, aborted)
    assert list(stands.approved) == approved
    for order in stands.approved.values():
        assert "@" in order.who
        assert order.at.endswith("+00:00")
    if not asked:
        assert stands == Standing()


def test_what_was_asked_for_is_not_believed_of_a_record_that_was_changed(tmp_path: Path):
    files = CampaignFiles(directory=tmp_path)
    record(files, BEGIN, CAMPAIGN)
    record(files, APPROVE, CAMPAIGN, wave=2)
    files.record.write_text(files.record.read_text().replace('"wave":2', '"wave":3'))
    with pytest.raises(InputError, match=r"campaign\.jsonl: line 3: "):
        read_standing(files)
