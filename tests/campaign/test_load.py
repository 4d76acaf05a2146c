"""Campaign files: what they say is what is carried out, and each mistake is one line that says where."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyswitch.campaign.load import DEFAULT_RETRIES, check_requests, check_times, find_devices, read_campaign
from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry
from keyswitch.campaign.windows import Day, Window
from keyswitch.demo.workshop import Workshop
from keyswitch.errors import InputError
from keyswitch.host.connect.scan import FoundDevice, Shows

HEAD = '[campaign]\nname = "tray"\n[release]\nimage = "new.bin"\npolicy = "policy.toml"\n'
ONE = '[[device]]\nid = "P-1"\ntarget = "udp:127.0.0.1:1"\n'
TWO = ONE + '[[device]]\nid = "P-2"\ntarget = "udp:127.0.0.1:2"\nsecret = "keys/2.hmac"\nserial = "SN 2"\n'
FULL = """
[entry]
secret = "keys/all.hmac"
to = "maintenance"
[waves]
counts = [1]
[run]
concurrency = 2
[[abort]]
outcomes = ["failed", "reverted"]
least = 2
percent = 10
[retry.waiting]
attempts = 3
wait_s = 1.5
factor = 3
most_wait_s = 10
"""


def written(directory: Path, text: str) -> Path:
    file = directory / "tray.toml"
    file.write_text(text)
    return file


def test_what_a_file_says(tmp_path: Path):
    read = read_campaign(written(tmp_path, HEAD + FULL + TWO))
    first, second = read.devices
    assert (read.name, read.waves, read.concurrency) == ("tray", (1, 1), 2)
    assert read.abort == (AbortRule(outcomes=(Outcome.FAILED, Outcome.REVERTED), least=2, percent=10),)
    assert read.retries == {
        **DEFAULT_RETRIES,
        Outcome.WAITING: Retry(attempts=3, wait_ms=1500, factor=3, most_wait_ms=10_000),
    }
    assert (first.request.secret, second.request.secret) == (tmp_path / "keys/all.hmac", tmp_path / "keys/2.hmac")
    assert (first.request.unit, second.request.serial_number) == ("P-1", "SN 2")
    assert first.request.evidence == tmp_path / "tray.campaign" / "evidence" / "P-1.jsonl"
    assert first.request.image == tmp_path / "new.bin"
    assert sum(DEFAULT_RETRIES[Outcome.BUSY].wait_before(n) or 0 for n in range(2, 7)) == 225_000
    assert Campaign.from_plain(read.to_plain()) == read


@pytest.mark.parametrize(
    ("percent", "devices", "waves"),
    [
        ([5, 25], 40, (2, 10, 28)),
        ([5, 25, 70], 40, (2, 10, 28)),
        ([1], 1, (1,)),
        ([1, 1], 101, (2, 2, 97)),  # rounded up
        ([1, 1], 100, (1, 1, 98)),
        ([5, 25, 50], 3, (1, 1, 1)),  # rounded up they would be four
        ([5, 25, 50], 2, (1, 1)),
        ([100], 7, (7,)),
    ],
)
def test_waves_by_share(tmp_path: Path, percent: list[int], devices: int, waves: tuple[int, ...]):
    rows = "".join(f'[[device]]\nid = "P-{n}"\ntarget = "udp:127.0.0.1:{n}"\n' for n in range(1, devices + 1))
    text = f"{HEAD}[waves]\npercent = {percent}\napproval = true\n{rows}"
    read = read_campaign(written(tmp_path, text))
    assert (read.waves, sum(read.waves), read.approval) == (waves, devices, True)


WINDOW = '[[windows]]\ndays = ["sat", "sun"]\nopens = "22:00"\ncloses = "05:30"\nzone = "Europe/Berlin"\n'
DEADLINE = '[run]\ndeadline = "2026-12-24T18:00:00+01:00"\n'


def test_windows_and_a_deadline(tmp_path: Path):
    read = read_campaign(written(tmp_path, HEAD + WINDOW + WINDOW.replace("Europe/Berlin", "UTC") + DEADLINE + ONE))
    first, second = read.windows
    assert first == Window(days=(Day.SATURDAY, Day.SUNDAY), opens_min=1320, closes_min=330, zone="Europe/Berlin")
    assert second.zone == "UTC"
    assert read.deadline == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert Campaign.from_plain(read.to_plain()) == read


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        ("2026-12-19T12:00:00+00:00", None),
        ("2026-12-20T04:29:59+00:00", None),  # still open
        ("2026-12-21T04:30:00+00:00", "no window opens before it: the next one does at 2026-12-26T21:00"),
        ("2026-12-24T17:00:00+00:00", "is over"),
    ],
)
def test_a_window_that_never_opens_before_the_deadline_is_refused(tmp_path: Path, now: str, problem: str | None):
    read = read_campaign(written(tmp_path, HEAD + WINDOW + DEADLINE + ONE))
    at = datetime.fromisoformat(now)
    if problem is None:
        check_times(read, at, "tray.toml")
    else:
        with pytest.raises(InputError, match=f"tray.toml: run.deadline: .*{problem}"):
            check_times(read, at, "tray.toml")


def heard(number: int, name: str, company: int | None) -> FoundDevice:
    return FoundDevice(
        address=f"C0:00:00:00:00:{number:02X}",
        name=name,
        rssi_dbm=-number,
        shows=Shows.MODE_SERVICE,
        mode_index=None,
        token=b"",
        company_id=company,
    )


NEAR = (heard(3, "Pump 3", 0x59), heard(1, "Pump 1", 0x59), heard(2, "Lamp", 0x59), heard(4, "Pump 4", None))


@pytest.mark.parametrize(
    ("scan", "found"),
    [
        ('name = "Pump *"', [1, 3, 4]),
        ('name = "Pump *"\ncompany = 0x59', [1, 3]),
        ("company = 0x59", [1, 2, 3]),
        ('name = "Lamp"', [2]),
    ],
)
@pytest.mark.parametrize(
    ("radio", "target"), [("ble:", "ble:C0:00:00:00:00:"), ("hci:usb:0", "hci:usb:0#C0:00:00:00:00:")]
)
def test_devices_are_those_that_advertise_what_is_asked_for(
    tmp_path: Path, scan: str, found: list[int], radio: str, target: str
):
    asked: list[tuple[str, int]] = []

    async def listen(at: str, listen_ms: int) -> tuple[FoundDevice, ...]:
        asked.append((at, listen_ms))
        return NEAR

    file = written(tmp_path, f'{HEAD}[waves]\npercent = [1]\n[scan]\nradio = "{radio}"\nlisten_s = 3\n{scan}\n')
    read = read_campaign(file)
    assert (read.devices, read.waves) == ((), ())
    campaign = asyncio.run(find_devices(read, file, listen))
    assert asked == [(radio, 3000)]
    assert [each.id for each in campaign.devices] == [f"C0-00-00-00-00-{n:02X}" for n in found]
    assert [each.request.target for each in campaign.devices] == [f"{target}{n:02X}" for n in found]
    assert campaign.waves == ((1, len(found) - 1) if len(found) > 1 else (1,))
    assert campaign.digest == read.digest
    listed = read_campaign(written(tmp_path, HEAD + ONE))
    assert asyncio.run(find_devices(listed, file, listen)) is listed


def test_nobody_near_is_one_line(tmp_path: Path):
    async def listen(_at: str, _listen_ms: int) -> tuple[FoundDevice, ...]:
        return NEAR

    file = written(tmp_path, f'{HEAD}[scan]\nname = "Pump [0-9]"\n')
    with pytest.raises(InputError, match=r"tray\.toml: scan: nobody advertises this within 10 s"):
        asyncio.run(find_devices(read_campaign(file), file, listen))


def test_a_list_of_devices_is_a_file_of_its_own(tmp_path: Path):
    (tmp_path / "tray.csv").write_text("id,target\nP-1,udp:127.0.0.1:1\n\nP-2,udp:127.0.0.1:2\n")
    file = written(tmp_path, 'devices = "tray.csv"\n' + HEAD)
    first = read_campaign(file)
    assert [each.id for each in first.devices] == ["P-1", "P-2"]
    (tmp_path / "tray.csv").write_text("id,target\nP-1,udp:127.0.0.1:1\n")
    assert read_campaign(file).digest != first.digest, "the list is part of what was asked for"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "tray.toml: campaign.name: missing"),
        (HEAD, "tray.toml: no devices"),
        (
            HEAD + ONE + "[weaves]\n",
            "tray.toml: weaves: unknown key (expected devices, campaign, release, entry, device",
        ),
        (HEAD + ONE + "[weaves]\n", 'did you mean "waves"?'),
        (HEAD.replace("image", "imgae") + ONE, "tray.toml: release.imgae: unknown key"),
        (HEAD + ONE + ONE, "tray.toml: device[1].id: 'P-1' stands at tray.toml: device[0] as well"),
        (HEAD + ONE + ONE.replace("P-1", "p-1"), "tray.toml: device[1].id: 'p-1' stands at"),
        (HEAD + ONE + ONE.replace("P-1", "P-2"), "tray.toml: device[1].target: 'udp:127.0.0.1:1' stands at"),
        (HEAD + ONE.replace("P-1", "../x"), 'tray.toml: device[0].id: "../x" is not allowed'),
        (HEAD + '[device]\nid = "x"\n', "tray.toml: device: one table (expected [[device]] for each)"),
        (HEAD + ONE + "[waves]\ncounts = [1, 1]\n", "tray.toml: waves.counts: 2 devices in waves, and 1 in the list"),
        (HEAD + ONE + "[waves]\ncounts = [0]\n", "tray.toml: waves.counts[0]: 0 is not allowed"),
        (HEAD + ONE + WINDOW.replace("05:30", "22:00"), "tray.toml: windows[0].closes: this window never opens"),
        (HEAD + ONE + WINDOW.replace("22:00", "24:00"), 'tray.toml: windows[0].opens: "24:00" is not allowed'),
        (
            HEAD + ONE + WINDOW.replace("Berlin", "Bielefeld"),
            "tray.toml: windows[0].zone: 'Europe/Bielefeld' is no",
        ),
        (HEAD + ONE + WINDOW.replace("Europe", "../.."), "tray.toml: windows[0].zone: '../../Berlin' is no time zone"),
        (HEAD + ONE + WINDOW.replace('"sun"', '"sunday"'), 'tray.toml: windows[0].days[1]: "sunday" is'),
        (HEAD + ONE + WINDOW.replace("[[windows]]", "[windows]"), "tray.toml: windows: one table"),
        (HEAD + ONE + DEADLINE.replace("12-24", "12-32"), "tray.toml: run.deadline: 2026-12-32"),
        (HEAD + ONE + DEADLINE.replace("+01:00", ""), "tray.toml: run.deadline: "),
        (HEAD + "[scan]\n", "tray.toml: scan: everybody near is not meant"),
        (HEAD + '[scan]\nname = "x"\nradio = "udp:h"\n', "tray.toml: scan.radio: 'udp:h' is no radio"),
        (HEAD + '[scan]\nname = "x"\nradio = "hci:"\n', "tray.toml: scan.radio: no HCI transport"),
        (HEAD + ONE + "[scan]\ncompany = 1\n", "tray.toml: scan: devices are listed as well"),
        (HEAD + "[scan]\ncompany = 65536\n", "tray.toml: scan.company: 65536 is not allowed"),
        (HEAD + 'inventory = "u.csv"\n[scan]\ncompany = 1\n', "tray.toml: scan: an advertisement does not tell which"),
        (HEAD + ONE + "[waves]\npercent = [60, 41]\n", "tray.toml: waves.percent: 101 per cent together"),
        (HEAD + ONE + "[waves]\npercent = [101]\n", "tray.toml: waves.percent[0]: 101 is not allowed"),
        (HEAD + ONE + "[waves]\npercent = [1]\ncounts = [1]\n", "tray.toml: waves.percent: there are counts as well"),
        (HEAD + ONE + "[run]\nconcurrency = 65\n", "tray.toml: run.concurrency: 65 is not allowed"),
        (
            HEAD + ONE + '[[abort]]\noutcomes = ["waiting"]\nleast = 1\npercent = 1\n',
            'tray.toml: abort[0].outcomes[0]: "waiting" is',
        ),
        (HEAD + ONE + '[[abort]]\noutcomes = ["failed"]\npercent = 1\n', "tray.toml: abort[0].least: missing"),
        (HEAD + ONE + "[retry.reverted]\nattempts = 2\nwait_s = 1\n", "tray.toml: retry.reverted: not tried again"),
        (HEAD + ONE + "[retry.busy]\nattempts = 2\nwait_s = 0\n", "tray.toml: retry.busy.wait_s: 0 is not allowed"),
        ('devices = "none.csv"\n' + HEAD, "none.csv: No such file"),
        ("x = 1\nx = 2", "tray.toml: not TOML"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_campaign(Path("tray.toml"))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_file_that_is_named_is_read_before_anything_is_opened(tmp_path: Path, pump: Workshop):
    text = HEAD.replace("new.bin", str(pump.new)).replace("policy.toml", str(pump.policy_file))
    checked = check_requests(read_campaign(written(tmp_path, text + ONE)))
    assert len(checked.image_hashes) == 1
    assert not CampaignFiles.of(tmp_path / "tray.toml").directory.exists()
    with pytest.raises(InputError, match=r"device P-2: .*2\.hmac"):
        check_requests(read_campaign(written(tmp_path, text + TWO)))
