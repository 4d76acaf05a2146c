"""Target and policy that need not be written: where they come from, in which order, and that it is said."""

from pathlib import Path

import click
import pytest
from tests.cli.ended import ended
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.defaults import config_path, default_policy, with_target
from keyswitch.errors import InputError
from keyswitch.exits import Exit

NEW = make_image("1.1.0")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('target = "udp:of-the-file"\npolicy = "pump/policy.toml"\n')
    monkeypatch.setenv("KEYSWITCH_CONFIG", str(path))
    return path


def test_the_order(config: Path, monkeypatch: pytest.MonkeyPatch):
    assert with_target(None) == ("udp:of-the-file",)
    assert default_policy() == config.parent / "pump" / "policy.toml"
    monkeypatch.setenv("KEYSWITCH_TARGET", "ble:Pump 7")
    monkeypatch.setenv("KEYSWITCH_POLICY", "here.toml")
    assert with_target(None) == ("ble:Pump 7",)
    assert with_target("udp:h") == ("udp:h",)
    assert default_policy() == Path("here.toml")
    monkeypatch.setenv("KEYSWITCH_TARGET", "")
    monkeypatch.setenv("KEYSWITCH_POLICY", "")
    with pytest.raises(click.UsageError, match="KEYSWITCH_TARGET is not set either"):
        with_target(None)
    assert default_policy() is None


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((None, None), ("udp:t", None)),
        (("app.bin", None), ("udp:t", "app.bin")),
        (("ble:x", "app.bin"), ("ble:x", "app.bin")),
        (("app.bin", "other.bin"), ("app.bin", "other.bin")),
        (("os", "echo", None, None), ("udp:t", "os", "echo", None)),
        (("os", "echo", "{}", None), ("udp:t", "os", "echo", "{}")),
        (("serial:x", "os", "echo", None), ("serial:x", "os", "echo", None)),
        (("pump",), ("pump",)),
    ],
)
def test_what_stands_one_place_too_early(
    words: tuple[str | None, ...], meant: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KEYSWITCH_TARGET", "udp:t")
    assert with_target(*words) == meant


def test_without_a_default_nothing_is_moved():
    assert with_target("app.bin", None) == ("app.bin", None)


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert config_path() is None
    monkeypatch.delenv("KEYSWITCH_CONFIG")
    monkeypatch.setattr("click.get_app_dir", lambda _name: str(tmp_path))
    assert config_path() == tmp_path / "config.toml"
    assert default_policy() is None, "it need not be there"
    monkeypatch.setenv("KEYSWITCH_CONFIG", str(tmp_path / "config.toml"))
    with pytest.raises(InputError, match="No such file"):
        default_policy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('taget = "ble:x"', 'config.toml: taget: unknown key (expected target, policy; did you mean "target"?)'),
        ("target = 7", "config.toml: target: 7 is not allowed"),
        ("target", "config.toml: not TOML"),
        ('policy = "~nobody-of-that-name/p.toml"', "config.toml: policy: "),
    ],
)
def test_wrong_settings_are_one_line(config: Path, text: str, said: str):
    config.write_text(text)
    with pytest.raises(InputError) as raised:
        default_policy()
    assert said in str(raised.value)


def test_commands_take_it_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "new.bin").write_bytes(NEW.data)
    assert ended("status") == Exit.USAGE
    assert "Missing argument 'TARGET' (KEYSWITCH_TARGET is not set either)." in capsys.readouterr().err
    with UdpPeerThread(lambda: SmpPeer(make_image(), gated=False, mode_group=False)) as served:
        monkeypatch.setenv("KEYSWITCH_TARGET", served.target)
        assert ended("status") == Exit.YES
        assert capsys.readouterr().err == f"target: {served.target} (KEYSWITCH_TARGET)\n"
        assert ended("smp", "image", "state") == Exit.YES
        assert ended("smp", "os") == Exit.USAGE
        assert ended("update", str(tmp_path / "new.bin"), "--only", "upload") == Exit.YES
        assert served.peer.slots[1].data == NEW.data
        monkeypatch.setenv("KEYSWITCH_POLICY", str(tmp_path / "none.toml"))
        assert ended("status") == Exit.USAGE
        assert f"policy: {tmp_path}/none.toml (KEYSWITCH_POLICY)" in capsys.readouterr().err
        ended("update", str(tmp_path / "new.bin"), "--only", "upload", "--recipe", "button")
        assert "policy:" not in capsys.readouterr().err
