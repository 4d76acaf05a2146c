"""The core of the protocol and the groups without images: what real Zephyr 4.4.0 answers, request by request."""

from typing import Final

from tests.peers.talk import EMPTY, READ, WRITE, Ask, Body, Step, Talk, step

HI: Final[Body] = {"d": "hi"}
SAID: Final[Body] = {"r": "hi"}

# A map whose key occurs twice: {"d": "a", "d": "b"}.
TWICE: Final = bytes.fromhex("a2 6164 6161 6164 6162")
# The same echo with a text string in chunks: {"d": (_ "h", "i")}.
CHUNKED: Final = bytes.fromhex("a1 6164 7f 6168 6169 ff")


def rc(code: int) -> Body:
    """An error of the protocol itself, the same in both versions."""
    return {"rc": code}


def err(group: int, code: int) -> Body:
    """A group's error in version 2."""
    return {"err": {"group": group, "rc": code}}


def _one(**fields: object) -> Step:
    answer = fields.pop("answer")
    ask = Ask(**{"op": WRITE, "group": 0, "command": 0, "payload": HI, **fields})
    return Step(asks=(ask,), answers=() if answer is None else (answer,))


CORE: Final = (
    Talk(
        number=1,
        name="echo by write, byte for byte",
        steps=(
            Step(
                asks=(Ask(op=WRITE, group=0, command=0, payload=HI),),
                answers=(SAID,),
                exact=bytes.fromhex("bf 6172 62 6869 ff"),
            ),
        ),
    ),
    Talk(number=2, name="echo by read", steps=(step(READ, 0, 0, HI, SAID),)),
    Talk(number=3, name="echo in version 1", steps=(step(WRITE, 0, 0, HI, SAID, version=0),)),
    Talk(number=4, name="echo of nothing", steps=(step(WRITE, 0, 0, EMPTY, {"r": ""}),)),
    Talk(number=5, name="echo without a payload", steps=(step(WRITE, 0, 0, None, rc(3)),)),
    Talk(number=6, name="echo of a number", steps=(step(WRITE, 0, 0, {"d": 5}, rc(3)),)),
    Talk(number=7, name="a key that occurs twice", steps=(step(WRITE, 0, 0, TWICE, rc(3)),)),
    Talk(number=8, name="an unknown key", steps=(step(WRITE, 0, 0, {"d": "q", "zz": 1}, {"r": "q"}),)),
    Talk(number=9, name="version field 2", steps=(step(WRITE, 0, 0, HI, rc(13), version=2),)),
    Talk(
        number=10,
        name="which check comes first",
        steps=(
            step(WRITE, 77, 0, HI, rc(13), version=2),
            step(READ, 0, 99, HI, rc(13), version=3),
            step(5, 0, 0, HI, rc(8), version=2),
            _one(version=2, length=200, answer=rc(9)),
        ),
    ),
    Talk(number=11, name="operations that are none", steps=tuple(step(op, 0, 0, HI, rc(8)) for op in (1, 3, 5))),
    Talk(number=12, name="flags and reserved bits", steps=(_one(flags=0xFF, reserved=7, answer=SAID),)),
    Talk(number=13, name="an unknown group", steps=(step(WRITE, 77, 0, HI, rc(8)),)),
    Talk(number=14, name="an unknown group in version 1", steps=(step(READ, 77, 0, HI, rc(8), version=0),)),
    Talk(number=15, name="an unknown command", steps=(step(READ, 0, 99, HI, rc(8)),)),
    Talk(number=16, name="parameters are not written", steps=(step(WRITE, 0, 6, EMPTY, rc(8)),)),
    Talk(number=17, name="an upload is not read", steps=(step(READ, 1, 1, EMPTY, rc(8)),)),
    Talk(number=18, name="a length larger than the payload", steps=(_one(length=200, answer=rc(9)),)),
    Talk(number=19, name="a length smaller than the payload", steps=(_one(length=2, answer=SAID),)),
    Talk(
        number=20,
        name="a packet shorter than a header",
        steps=(Step(asks=(Ask(op=WRITE, group=0, command=0, payload=HI),), answers=(), cut_to=3),),
    ),
    Talk(
        number=21,
        name="two requests in one packet",
        steps=(Step(asks=(Ask(op=WRITE, group=0, command=0, payload=HI),) * 2, answers=(SAID, SAID)),),
    ),
    Talk(
        number=22,
        name="the first error ends a packet",
        steps=(
            Step(
                asks=(
                    Ask(op=WRITE, group=77, command=0, payload=HI),
                    Ask(op=WRITE, group=0, command=0, payload=HI),
                ),
                answers=(rc(8),),
            ),
        ),
    ),
    Talk(
        number=25,
        name="information in a format that does not exist",
        steps=(
            step(READ, 0, 7, {"format": "?"}, err(0, 2)),
            step(READ, 0, 7, {"format": "?"}, rc(3), version=0),
        ),
    ),
    Talk(
        number=30,
        name="a wrong checksum",
        steps=(Step(asks=(Ask(op=WRITE, group=0, command=0, payload=HI),), answers=(), spoilt=True),),
    ),
    Talk(number=101, name="a text string in chunks", steps=(step(WRITE, 0, 0, CHUNKED, rc(3)),)),
    Talk(
        number=102,
        name="groups that nobody serves",
        steps=tuple(step(READ, group, 0, EMPTY, rc(8)) for group in (4, 5, 6, 7, 64)),
    ),
)
"""What every server answers in the same way, whatever it is built with."""

NAMED_ZEPHYR: Final = (
    Talk(
        number=24,
        name="information without a format",
        steps=(step(READ, 0, 7, None, rc(3)), step(READ, 0, 7, EMPTY, {"output": "Zephyr"})),
    ),
    Talk(
        number=26,
        name="a format with a letter twice",
        steps=(step(READ, 0, 7, {"format": "ss"}, {"output": "Zephyr"}),),
    ),
)
"""What a system called Zephyr answers."""


def parameters(buf_size: int, buf_count: int) -> Talk:
    """Parameters do not look at their payload."""
    answer = {"buf_size": buf_size, "buf_count": buf_count}
    return Talk(
        number=23,
        name="parameters with any payload",
        steps=(step(READ, 0, 6, None, answer), step(READ, 0, 6, EMPTY, answer), step(READ, 0, 6, b"\xff\x00", answer)),
    )


NATIVE_SIM: Final = (
    Talk(
        number=103,
        name="statistics",
        steps=(
            step(READ, 2, 0, {"name": "no such"}, err(2, 3)),
            step(READ, 2, 0, {"name": "no such"}, rc(5), version=0),
        ),
    ),
    Talk(
        number=104,
        name="settings",
        steps=(
            step(READ, 3, 0, {"name": "no/such"}, err(3, 5)),
            step(READ, 3, 0, {"name": "no/such"}, rc(1), version=0),
            step(READ, 3, 0, EMPTY, rc(3)),
            step(WRITE, 3, 2, EMPTY, EMPTY),
        ),
    ),
    Talk(
        number=105,
        name="shell",
        steps=(step(WRITE, 9, 0, {"argv": []}, err(9, 3)), step(WRITE, 9, 0, EMPTY, rc(3))),
    ),
    Talk(
        number=106,
        name="files",
        steps=(
            step(READ, 8, 0, {"name": "/no/such", "off": 0}, err(8, 3)),
            step(READ, 8, 0, {"name": "/no/such", "off": 0}, rc(5), version=0),
            step(READ, 8, 1, {"name": "/no/such"}, err(8, 3)),
            step(
                READ,
                8,
                3,
                None,
                {"types": {"crc32": {"format": 0, "size": 4}, "sha256": {"format": 1, "size": 32}}},
            ),
        ),
    ),
    Talk(
        number=107,
        name="enumeration of what is not there",
        steps=(step(READ, 10, 2, {"index": 99}, err(10, 4)), step(READ, 10, 2, {"index": 99}, rc(1), version=0)),
    ),
    Talk(number=108, name="the storage is wiped without a question", steps=(step(WRITE, 63, 0, None, EMPTY),)),
)
"""The groups of the native_sim build, as far as the answer does not depend on what is in them."""
