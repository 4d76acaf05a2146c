"""Image state, upload, erase, test, confirm, revert: what real Zephyr 4.4.0 with real MCUboot answers.

Swap using offset; the running image is 0.0.0, slots have 106,496 bytes, sectors 1,024. The answers hold for any device
that says the same of itself, so the slot's size and the images are handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.peers.talk import EMPTY, READ, WRITE, Body, Step, Talk, step
from tests.peers.talks_os import err, rc
from tests.rigs.images import Image

CHUNK: Final = 128
"""Bytes of data in one upload request where a whole image is sent: two console lines, as many as the server has buffers
for. A third is lost now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What the sequences need to know and to have.

    Attributes:
        running: the image that runs when a sequence begins.
        new: another one that boots and answers.
        small: one that can be uploaded in a moment; it would not run.
        slot_size: of a slot, in bytes.
    """

    running: Image
    new: Image
    small: Image
    slot_size: int


def entry(slot: int, image: Image, *flags: str) -> Body:
    """One slot in a state answer."""
    given = {flag: flag in flags for flag in ("pending", "confirmed", "active", "permanent")}
    return {"slot": slot, "version": image.version, "hash": image.hash, "bootable": True, **given}


def state(*entries: Body) -> Body:
    """A state answer."""
    return {"images": list(entries), "splitStatus": 0}


def upload(answer: Body | None, *, version: int = 1, **fields: object) -> Step:
    """One upload request."""
    return step(WRITE, 1, 1, fields, answer, version=version)


def set_state(answer: Body, *, version: int = 1, **fields: object) -> Step:
    """One state write."""
    return step(WRITE, 1, 0, fields, answer, version=version)


def read_state(*entries: Body) -> Step:
    """One state read."""
    return step(READ, 1, 0, EMPTY, state(*entries))


def off(offset: int) -> Body:
    """The answer to an upload request that is not refused."""
    return {"off": offset}


RESET: Final = step(WRITE, 0, 5, EMPTY, EMPTY, resets=True)


def whole_upload(image: Image) -> Sequence[Step]:
    """Upload all of an image."""
    data = image.data
    steps = [upload(off(min(CHUNK, len(data))), off=0, len=len(data), sha=image.sha, data=data[:CHUNK])]
    for start in range(CHUNK, len(data), CHUNK):
        part = data[start : start + CHUNK]
        steps.append(upload(off(start + len(part)), off=start, data=part))
    return steps


def refused_uploads(images: Images) -> tuple[Talk, ...]:
    """First packets that are refused, and why."""
    data = images.small.data
    first, length = data[:64], len(data)
    wrong = b"\x00" + first[1:]
    return (
        Talk(
            number=31,
            name="no offset",
            steps=(
                upload(err(1, 20), len=length, data=first),
                upload({"rc": 3, "rsn": "header malformed"}, len=length, data=first, version=0),
            ),
        ),
        Talk(
            number=32,
            name="less data than a header",
            steps=(upload(err(1, 22), off=0, len=length, data=first[:31]), upload(err(1, 22), off=0, len=length)),
        ),
        Talk(number=33, name="no length", steps=(upload(err(1, 21), off=0, data=first),)),
        Talk(
            number=34,
            name="a wrong magic",
            steps=(
                upload(err(1, 23), off=0, len=length, data=wrong),
                upload({"rc": 1, "rsn": "magic mismatch"}, off=0, len=length, data=wrong, version=0),
            ),
        ),
        Talk(
            number=35, name="a hash too long", steps=(upload(err(1, 24), off=0, len=length, data=first, sha=bytes(33)),)
        ),
        Talk(
            number=36,
            name="larger than the slot",
            steps=(
                upload(err(1, 30), off=0, len=images.slot_size + 1, data=first),
                upload({"rc": 1, "rsn": "img too large"}, off=0, len=images.slot_size + 1, data=first, version=0),
            ),
        ),
        Talk(number=37, name="the whole slot", steps=(upload(err(1, 13), off=0, len=images.slot_size, data=first),)),
        Talk(
            number=38,
            name="not newer, where newer is asked for",
            steps=(
                upload(err(1, 27), off=0, len=length, data=images.running.data[:64], upgrade=True),
                upload(
                    {"rc": 6, "rsn": "downgrade"},
                    off=0,
                    len=length,
                    data=images.running.data[:64],
                    upgrade=True,
                    version=0,
                ),
                upload(off(64), off=0, len=length, data=images.running.data[:64], upgrade=False),
            ),
        ),
        Talk(
            number=39,
            name="a truth value that is a number",
            steps=(upload(rc(3), off=0, len=length, data=first, upgrade=1),),
        ),
        Talk(number=40, name="an offset without a session", steps=(upload(off(0), off=100, data=b"x"),)),
        Talk(number=41, name="an offset that is a text", steps=(upload(rc(3), off="a", data=b"x"),)),
    )


def sessions(images: Images) -> tuple[Talk, ...]:
    """The upload's session: offsets, resuming, restarting, ending."""
    data, sha = images.small.data, images.small.sha
    first, length = data[:64], len(data)
    begun = upload(off(64), off=0, len=length, sha=sha, data=first)
    to_128 = (begun, upload(off(64), off=10, data=data[10:20]), upload(off(128), off=64, data=data[64:128]))
    resumed = upload(off(128), off=0, len=5, sha=sha, image=3, data=first)
    complete = whole_upload(images.small)
    last = len(complete) - 1
    return (
        Talk(number=42, name="a wrong offset", steps=to_128),
        Talk(number=43, name="the same hash resumes", steps=(*to_128, resumed)),
        Talk(
            number=44,
            name="no hash starts again",
            steps=(*to_128, resumed, upload(off(64), off=0, len=length, data=first)),
        ),
        Talk(
            number=45,
            name="more than was announced",
            steps=(
                upload(off(64), off=0, len=100, data=first),
                upload(err(1, 31), off=64, data=data[64:128]),
                upload(off(0), off=64, data=data[64:128]),
            ),
        ),
        Talk(
            number=46, name="a first packet longer than the image", steps=(upload(off(64), off=0, len=40, data=first),)
        ),
        Talk(
            number=47,
            name="a refusal ends the session",
            steps=(
                upload(off(64), off=0, len=length, data=first),
                upload(off(264), off=64, data=data[64:264]),
                upload(err(1, 20), data=data[264:300]),
                upload(off(0), off=264, data=data[264:300]),
            ),
        ),
        Talk(
            number=48,
            name="a chunk twice",
            steps=(begun, upload(off(128), off=64, data=data[64:128]), upload(off(128), off=64, data=data[64:128])),
        ),
        Talk(
            number=49,
            name="the last chunk twice",
            steps=(*complete, upload(off(0), off=last * CHUNK, data=data[last * CHUNK :])),
        ),
        Talk(
            number=50,
            name="the list after an upload",
            steps=(*complete, read_state(entry(0, images.running, "active", "confirmed"), entry(1, images.small))),
        ),
    )


def erasing(images: Images) -> tuple[Talk, ...]:
    """Erase, and state writes that are refused in the normal state."""
    active = entry(0, images.running, "active", "confirmed")
    return (
        Talk(
            number=51,
            name="a state write that names nothing",
            steps=(
                set_state(err(1, 24)),
                set_state(err(1, 24), confirm=False),
                set_state(err(1, 24), hash=images.running.hash[:31]),
            ),
        ),
        Talk(
            number=52,
            name="an unknown hash",
            steps=(set_state(err(1, 8), hash=bytes(32)), set_state(rc(1), hash=bytes(32), version=0)),
        ),
        Talk(
            number=53,
            name="the running image is not tested",
            steps=(
                set_state(err(1, 33), hash=images.running.hash),
                set_state(rc(1), hash=images.running.hash, version=0),
            ),
        ),
        Talk(
            number=54,
            name="a confirmed image is confirmed",
            steps=(set_state(state(active), confirm=True), read_state(active)),
        ),
        Talk(
            number=59,
            name="erase",
            steps=(
                step(WRITE, 1, 5, None, rc(3)),
                step(WRITE, 1, 5, EMPTY, EMPTY),
                step(WRITE, 1, 5, EMPTY, EMPTY),
                step(WRITE, 1, 5, {"slot": 0}, err(1, 9)),
                step(WRITE, 1, 5, {"slot": 2}, err(1, 10)),
                step(WRITE, 1, 5, {"slot": -1}, rc(3)),
            ),
        ),
    )


def marking(images: Images) -> tuple[Talk, ...]:
    """Test and confirm, and their ends after resets. The new image lies in the second slot when these begin."""
    running, new = images.running, images.new
    active = entry(0, running, "active", "confirmed")
    pending = state(active, entry(1, new, "pending"))
    permanent = state(active, entry(1, new, "pending", "permanent"))
    trial = state(entry(0, new, "active"), entry(1, running, "confirmed"))
    marked = (
        set_state(pending, hash=new.hash),
        set_state(pending, hash=new.hash),
        set_state(err(1, 28), hash=new.hash, confirm=True),
        set_state(err(1, 28), confirm=True),
        set_state(rc(6), confirm=True, version=0),
    )
    return (
        Talk(number=55, name="marked for test", steps=marked),
        Talk(
            number=56,
            name="on trial",
            steps=(
                marked[0],
                RESET,
                set_state(err(1, 28), hash=running.hash),
                step(WRITE, 1, 5, EMPTY, err(1, 9)),
                upload(err(1, 9), off=0, len=len(new.data), data=new.data[:64]),
                set_state(trial, hash=running.hash, confirm=True),
                step(READ, 1, 0, EMPTY, trial),
            ),
        ),
        Talk(
            number=57,
            name="reverted",
            steps=(
                marked[0],
                RESET,
                step(READ, 1, 0, EMPTY, trial),
                RESET,
                read_state(active, entry(1, new)),
                set_state(pending, hash=new.hash),
            ),
        ),
        Talk(
            number=58,
            name="marked for good",
            steps=(
                set_state(permanent, hash=new.hash, confirm=True),
                set_state(err(1, 28), hash=new.hash),
                set_state(permanent, hash=new.hash, confirm=True),
                set_state(err(1, 28), confirm=True),
            ),
        ),
        Talk(
            number=109,
            name="confirmed on trial",
            steps=(
                marked[0],
                RESET,
                set_state(state(entry(0, new, "active", "confirmed")), confirm=True),
                RESET,
                read_state(entry(0, new, "active", "confirmed")),
                set_state(err(1, 8), hash=running.hash),
            ),
        ),
        Talk(
            number=110,
            name="marked for good, and run",
            steps=(
                set_state(permanent, hash=new.hash, confirm=True),
                RESET,
                read_state(entry(0, new, "active", "confirmed")),
            ),
        ),
    )


def armed_by_itself(images: Images, padded: Image) -> Talk:
    """A file that brings its own trailer: no state write at all."""
    return Talk(
        number=60,
        name="a file that arms itself",
        steps=(
            *whole_upload(padded),
            read_state(entry(0, images.running, "active", "confirmed"), entry(1, padded, "pending", "permanent")),
            RESET,
            read_state(entry(0, padded, "active", "confirmed")),
            RESET,
            read_state(entry(0, padded, "active", "confirmed")),
        ),
    )
