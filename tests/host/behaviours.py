"""Devices by behaviour: what a device does, what the operator does about it, and how that ends.

Each row is a device that a test updates (`tests/host/update/test_foreign_devices.py`), and a line of docs/operator.md;
`python -m tests.host.behaviours` writes those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.foreign_peer import ForeignPeer, Quirk
from tests.host.images import Made, make_compressed, make_image

from keyswitch.host.update.job import ConfirmBy, Job, JobImage, Outcome
from keyswitch.host.upload.limits import Bounds

PAGE = Path(__file__).parents[2] / "docs" / "operator.md"
BEGIN, END = "<!-- devices by behaviour -->\n", "<!-- end of devices -->\n"

OLD, NEW, OTHER = make_image("1.0.0"), make_image("1.1.0"), make_image("1.0.5")


def image_of(made: Made, **values: Any) -> JobImage:
    return JobImage(data=made.data, hash=made.hash, version=made.version, **values)


def one_image() -> Job:
    return Job(images=(image_of(NEW),))


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One kind of device, and an update of it.

    Attributes:
        device: what it does, in words.
        operator: what the operator does about it, in words.
        quirks: what is different about it.
        make: the device, as it is before the update.
        outcome: how the update ends.
        detail: what it says then; a regular expression for the whole of it.
        next_step: what it says to do.
        job: what is to be done.
        line: `ble`, or `udp`: no connection, nobody can end it.
        says: what it says on the way.
    """

    device: str
    operator: str
    quirks: tuple[Quirk, ...]
    outcome: Outcome
    detail: str = ""
    next_step: str = ""
    make: Callable[..., ForeignPeer] = ForeignPeer
    job: Callable[[], Job] = one_image
    line: str = "ble"
    says: tuple[str, ...] = ()

    def peer(self) -> ForeignPeer:
        return self.make(OLD, *self.quirks)


def on_trial(running: Made, *quirks: Quirk) -> ForeignPeer:
    peer = ForeignPeer(running, *quirks)
    peer.on_trial(OTHER)
    return peer


def _trial_unlisted(running: Made, *quirks: Quirk) -> ForeignPeer:
    return on_trial(running, Quirk.LISTS_WHAT_RUNS, *quirks)


def on_trial_of_old() -> ForeignPeer:
    return on_trial(OLD)


def marked(running: Made, *quirks: Quirk) -> ForeignPeer:
    peer = ForeignPeer(running, *quirks)
    peer.marked(OTHER)
    return peer


NET, NEW_NET = make_image("2.0.0", fill=1), make_image("2.1.0", fill=1)


def two_images() -> Job:
    """As packages list them: the application first."""
    return Job(images=(image_of(NEW), image_of(NEW_NET, number=1)))


def forced() -> Job:
    return Job(images=(image_of(NEW),), force=True)


WITHOUT_SLOTS = (
    r"the device was reset to start 1\.1\.0, and is back without showing its slots: "
    r"whether that runs on trial, is confirmed or has gone back cannot be seen \(.*\)"
)
WAITED_FOR = "the device is back from the reset without its SMP service: it is waited for"


def impatient() -> Job:
    """A tenth of the minute that is waited for progress."""
    return Job(images=(image_of(NEW),), bounds=Bounds(stall_ms=6_000))


def confirms_itself() -> Job:
    return Job(images=(image_of(NEW),), confirm_by=ConfirmBy.SELF)


PACKED, UNPACKED_HASH = make_compressed(NEW)


def compressed() -> Job:
    return Job(images=(image_of(PACKED, unpacked_hash=UNPACKED_HASH),))


FLASH_STEP = "look into the device's log: whether its slot holds 16,384 bytes, and its flash takes writes"


def network_core() -> Job:
    return Job(images=(image_of(NEW_NET, number=1),))


NOT_STARTED = r"the bootloader did not start the new image; the device runs 1\.0\.0 \([0-9a-f]{8}\)"
TAKEN = r"the reset took image 1 \(2\.1\.0\) out of the slot where it was marked, and no list shows whether it runs"


def _stays_in_recovery(running: Made, *quirks: Quirk) -> ForeignPeer:
    peer = ForeignPeer(running, *quirks)
    peer.pin_held = True
    return peer


def _with_a_network_core(running: Made, *quirks: Quirk) -> ForeignPeer:
    return ForeignPeer(running, *quirks, second=NET)


ON_TRIAL = "no free slot: 1.0.5 runs on trial, and the other slot holds the way back"
ON_TRIAL_STEP = "confirm it (only confirm), or reset the device to go back to 1.0.0; then run the same command again"
MARKED = "no free slot: another image, 1.0.5, is marked: the next reset starts it"
MARKED_STEP = "reset the device, which starts the marked image; then run the same command again"
UNTOLD = "no free slot: the list of the slots does not tell why"
UNTOLD_STEP = "confirm what runs on trial, or reset the device; then run the same command again"

BEHAVIOURS = (
    Behaviour(
        device="runs another image on trial",
        operator="sends nothing: the other slot holds the way back; `status` says so, too",
        quirks=(),
        make=on_trial,
        outcome=Outcome.REFUSED,
        detail=ON_TRIAL,
        next_step=ON_TRIAL_STEP,
    ),
    Behaviour(
        device="takes no upload while another image is marked (image error 9)",
        operator="says which image is marked",
        quirks=(Quirk.NO_FREE_SLOT,),
        make=marked,
        outcome=Outcome.REFUSED,
        detail=rf"{MARKED} \(the device says image NO_FREE_SLOT\)",
        next_step=MARKED_STEP,
    ),
    Behaviour(
        device="says so with rc 2, which means *no memory* as well (servers of 2018 to 2022)",
        operator="asks twice with one piece alone, then believes it",
        quirks=(Quirk.ENOMEM_FOR_NO_SLOT,),
        make=marked,
        outcome=Outcome.REFUSED,
        detail=rf"{MARKED} \(the device says ENOMEM\)",
        next_step=MARKED_STEP,
    ),
    Behaviour(
        device="says so, and does not list why",
        operator="says what the device says, and leaves it as it is",
        quirks=(Quirk.ENOMEM_FOR_NO_SLOT,),
        make=_trial_unlisted,
        outcome=Outcome.REFUSED,
        detail=rf"{UNTOLD} \(the device says ENOMEM\)",
        next_step=UNTOLD_STEP,
    ),
    Behaviour(
        device="has a bootloader that leaves image 1 out if image 0 was marked before it (nRF5340)",
        operator="marks and confirms from the highest number down, image 0 last; the plan says so",
        quirks=(Quirk.APPLICATION_MARKED_LAST,),
        make=_with_a_network_core,
        job=two_images,
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="takes image 1 out of its slot at the reset, and lists nothing of it since",
        operator="confirms what is listed, and says what no list shows",
        quirks=(Quirk.HIDES_IMAGE_1,),
        make=_with_a_network_core,
        job=two_images,
        outcome=Outcome.CONFIRMED,
        detail=TAKEN,
    ),
    Behaviour(
        device="the same, and image 1 is the only one of the update",
        operator="says that nothing can be proved",
        quirks=(Quirk.HIDES_IMAGE_1,),
        make=_with_a_network_core,
        job=network_core,
        outcome=Outcome.UNKNOWN,
        detail=TAKEN,
        next_step="ask the device itself, or its maker's tool, which version it runs",
    ),
    Behaviour(
        device="empties the slot at the reset, and what runs is what ran before",
        operator="says that the image was refused, or is a bootloader, which no list shows",
        quirks=(Quirk.REFUSES,),
        outcome=Outcome.NOT_STARTED,
        detail=f"{NOT_STARTED}; the image lies in no slot any more: it was refused, unless it is a bootloader, which "
        "no list shows",
        next_step="check signature and version of the image (keyswitch image verify)",
    ),
    Behaviour(
        device="confirms by the hash alone (rc 3 without one)",
        operator="names what runs by its hash, once",
        quirks=(Quirk.CONFIRMS_BY_HASH,),
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="confirms nothing",
        operator="says when the image goes back",
        quirks=(Quirk.CONFIRMS_NOTHING,),
        outcome=Outcome.REFUSED,
        detail="the confirmation: EINVAL",
        next_step="confirm it (only confirm) before the next reset, which takes it back",
    ),
    Behaviour(
        device="is too busy for a reset (rc 10)",
        operator="asks again for eight seconds, then offers `--force`",
        quirks=(Quirk.BUSY_AT_RESET,),
        outcome=Outcome.REFUSED,
        detail="the reset: busy: EBUSY",
        next_step="wait until it is done and run the same command again, or say force to reset it all the same",
    ),
    Behaviour(
        device="the same, and `--force` was said",
        operator="asks once without it, then with it",
        quirks=(Quirk.BUSY_AT_RESET,),
        job=forced,
        outcome=Outcome.CONFIRMED,
        says=("the device says that it is busy, and is reset all the same (force)",),
    ),
    Behaviour(
        device="is a serial recovery of before mid-2023: drops requests of version 2, and marks nothing",
        operator="knocks in version 2, then in version 1; its reset alone starts the image",
        quirks=(Quirk.DROPS_VERSION_2,),
        line="udp",
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="is a still older one: silent about what it does not have",
        operator="asks once for what it need not have, with a short bound; sends the smallest frames",
        quirks=(Quirk.DROPS_VERSION_2, Quirk.SILENT_IF_UNKNOWN, Quirk.SILENT_TO_MARKS),
        line="udp",
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="tells of large buffers, has no reassembly, and answers a frame that is cut with rc 9",
        operator="takes the next smaller frame that is answered; `--frame` bounds it",
        quirks=(Quirk.NO_REASSEMBLY,),
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="the same, and says so at the first piece alone",
        operator="sends that in the next smaller frame",
        quirks=(Quirk.NO_REASSEMBLY, Quirk.NO_ECHO),
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="lists two images without saying which row is whose",
        operator="knows them by their hashes",
        quirks=(Quirk.NO_IMAGE_KEYS,),
        make=_with_a_network_core,
        job=two_images,
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="lists no hashes",
        operator="uploads whatever lies there under the version, resets once, and says that nothing can be proved",
        quirks=(Quirk.NO_HASHES,),
        outcome=Outcome.UNKNOWN,
        detail=r"the device lists no hashes: that 1\.1\.0 runs and stays is told by its version alone",
        next_step="look which version the device itself says that it runs",
    ),
    Behaviour(
        device="is a recovery that lists no hashes, and starts again at the reset",
        operator="resets once, and says what is listed",
        quirks=(Quirk.DROPS_VERSION_2, Quirk.NO_HASHES),
        make=_stays_in_recovery,
        line="udp",
        outcome=Outcome.UNKNOWN,
        detail="the device has agreed to the reset and still answers as its loader or recovery, which lists "
        r"1\.1\.0 \(slot 0\)",
        next_step="let it start its application (pin, button, power), then look what runs: keyswitch status",
    ),
    Behaviour(
        device="has a new application that shows its SMP service some seconds after the start",
        operator="waits for it, for half a minute",
        quirks=(Quirk.SHOWS_SMP_LATE,),
        outcome=Outcome.CONFIRMED,
        says=(WAITED_FOR,),
    ),
    Behaviour(
        device="has a new application that shows no SMP service (products with an update mode of their own)",
        operator="says that the reset was seen, and what was not",
        quirks=(Quirk.HIDES_SMP,),
        outcome=Outcome.UNKNOWN,
        detail=WITHOUT_SLOTS,
        next_step="put it into its update mode, then confirm it (only confirm) before its next reset",
        says=(WAITED_FOR,),
    ),
    Behaviour(
        device="the same, and `--confirm-by self` was said",
        operator="the same: nothing shows a confirmation",
        quirks=(Quirk.HIDES_SMP,),
        job=confirms_itself,
        outcome=Outcome.UNKNOWN,
        detail=WITHOUT_SLOTS,
        next_step="put it into its update mode, then look what runs (keyswitch status)",
        says=(WAITED_FOR,),
    ),
    Behaviour(
        device="lists a compressed image by the hash of what it unpacks to",
        operator="takes either hash for it; `--unpacks` lets such a file through",
        quirks=(Quirk.LISTS_UNPACKED,),
        job=compressed,
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="lists it by its own hash",
        operator="the same",
        quirks=(),
        job=compressed,
        outcome=Outcome.CONFIRMED,
    ),
    Behaviour(
        device="goes silent at the end of its slot, and answers everything else",
        operator="connects once more; if it stands there again, says so",
        quirks=(Quirk.SILENT_AT_THE_END,),
        outcome=Outcome.FAILED,
        detail=r"the upload stands at byte \d+ each time, of 16384, and the device answers everything else",
        next_step=FLASH_STEP,
    ),
    Behaviour(
        device="asks for the same byte for ever",
        operator="gives it a minute",
        quirks=(Quirk.STANDS,),
        job=impatient,
        outcome=Outcome.FAILED,
        detail=r"the upload stands at byte (\d+): the device keeps asking for offset \1",
        next_step=FLASH_STEP,
    ),
    Behaviour(
        device="answers nothing for a minute in the middle of an upload",
        operator="waits, connects again and resumes; the bar says since when it stands",
        quirks=(Quirk.PAUSES,),
        outcome=Outcome.CONFIRMED,
    ),
)


def table() -> str:
    """The rows, as the page has them."""
    lines = ["| The device | The operator | Outcome |", "|---|---|---|"]
    rows = (
        f"| {each.device} | {each.operator} | {each.outcome.value} ({each.outcome.exit_code.value}) |"
        for each in BEHAVIOURS
    )
    return "\n".join([*lines, *rows])


def renewed(text: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
