"""KS-202: an image whose content was changed is not run."""

import hashlib
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import failed, firmware, go_outside, passed, reset_in_maintenance, running, slots
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, upload
from keyswitch.mcuboot.tlvs import TlvType
from keyswitch.smp.groups import image

ID: Final = "KS-202"


def changed(data: bytes, digest: bytes) -> tuple[bytes, bytes]:
    """The image with one bit of its firmware changed, and its hash made to fit; the signature stays the old one's.

    Raises:
        NotReachedError: the file is not one of the usual form.
    """
    header = int.from_bytes(data[8:10], "little")
    body = int.from_bytes(data[12:16], "little")
    protected = int.from_bytes(data[10:12], "little")
    at = header + body // 2
    signed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 : header + body + protected]
    entry = TlvType.SHA256.to_bytes(2, "little") + len(digest).to_bytes(2, "little")
    place = data.find(entry + digest, header + body + protected)
    if len(digest) != hashlib.sha256().digest_size or place < 0:
        raise NotReachedError("--next has no SHA-256 as its hash: this check cannot change it to fit")
    fitting = hashlib.sha256(signed).digest()
    rest = data[len(signed) :]
    place -= len(signed)
    return signed + rest[:place] + entry + fitting + rest[place + len(entry) + len(fitting) :], fitting


async def play(bench: Bench) -> tuple[Part, ...]:
    """Upload it, mark it, reset, and look what runs."""
    data, digest = firmware(bench)
    other, fitting = changed(data, digest)
    what = "an image with one bit of its firmware changed, and its hash made to fit"
    visit = await bench.enter()
    assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
    bench.note_upload()
    end = await upload(visit.smp, other, await capacity_of(visit.smp))
    if not isinstance(end, Uploaded):
        return (passed(what, f"not taken: {end}"),)
    reply = await visit.smp.write(image.ID, image.Id.STATE, {"hash": fitting, "confirm": False})
    if isinstance(reply, Refusal):
        marked = [slot for slot in await slots(visit) if slot.pending]
        return (failed(what, "refused, and marked all the same") if marked else passed(what, f"not marked: {reply}"),)
    await reset_in_maintenance(bench, visit)
    runs = await running(await bench.enter())
    if runs == fitting:
        visit = await bench.enter()
        await reset_in_maintenance(bench, visit)
        await go_outside(bench)
        return (
            failed(what, "it runs", effects=[f"the image that runs is {fitting.hex()[:16]}, which nobody has signed"]),
        )
    return (passed(what, "marked, and not run: the bootloader refused it"),)


CHECK: Final = Check(
    id=ID,
    title="an image whose content was changed is not run",
    requirement="An image whose signature does not fit its content never runs.",
    why="A gate that is open for the right person still has to keep the wrong firmware out.",
    how=(
        "In maintenance, --next with one bit changed and its hash made to fit: uploaded, marked for a trial, "
        "started by a reset."
    ),
    finding="The bootloader runs what nobody has signed.",
    remedy="Build MCUboot with a signature (SB_CONFIG_BOOT_SIGNATURE_TYPE_…) and with BOOT_VALIDATE_SLOT0.",
    catches="the bootloader checks no signature",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
