"""A package of two images, installed by one command on a device with two image pairs."""

import json
from pathlib import Path

import pytest
from tests.host.images import make_image, read_image
from tests.host.other_peers import TwoImagePeer
from tests.host.test_images import NEW, package
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.main import main
from keyswitch.exits import Exit

OLD, NET = make_image("1.0.0"), make_image("1.9.0", fill=1)


@pytest.mark.parametrize("confirms_second", [True, False])
def test_a_whole_update_of_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, confirms_second: bool):
    def two() -> TwoImagePeer:
        settings = {"gated": False, "mode_group": False, "reset_ms": 20, "boot_ms": 20}
        return TwoImagePeer(OLD, NET, confirms_second=confirms_second, **settings)

    with UdpPeerThread(two) as served:
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(package(tmp_path, "0", "1")), "--json"])
        assert raised.value.code == Exit.YES
        peer = served.peer
        assert isinstance(peer, TwoImagePeer)
        assert [(read_image(slots[0].data) or ("",))[0] for slots in peer.pairs] == ["1.1.0", "2.0.0"]
        assert peer.stays == [True, confirms_second]
        assert peer.boots == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["outcome"] == "confirmed"
    assert bool(last["detail"]) != confirms_second
    active = [(slot["image"], slot["version"]) for slot in last["after"] if slot["active"]]
    assert active == [(0, NEW.version), (1, "2.0.0")]
