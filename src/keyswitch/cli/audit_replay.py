"""`keyswitch audit --replay REPORT/KS-NNN`: one check of a report tried again, with what that report was made with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.audit.checks import BY_ID
from keyswitch.audit.manifest import verify_report
from keyswitch.audit.run import Permitted
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_file
from keyswitch.policy.load import read_policy

_REPORT: Final = FileKind(expected="the report of an audit (report.json)", max_size=256 * 1024 * 1024)
_IMAGE: Final = FileKind(expected="an image that the audit was made with", max_size=256 * 1024 * 1024)
_PATHS: Final = frozenset({"panel", "secret", "permit", "holder", "bonds"})
WHERE: Final = "--replay"


def read_finding(text: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    """Read what is to be tried again: the target, the options, and the verdict of then.

    Args:
        text: `REPORT/KS-NNN`.
        given: options that the person has given now; they stand before those of the report.

    Raises:
        InputError: the report was changed, has no such check, or what it was made with is not there any more.
    """
    directory, check = Path(text).parent, Path(text).name
    if check not in BY_ID:
        raise InputError(f"{WHERE} {text}", f"there is no check {check!r}", "REPORT/KS-NNN")
    for finding in verify_report(directory).findings:
        raise InputError(f"{directory}/{finding}", "this report is not as it was written", "a report as it was written")
    where = str(directory / "report.json")
    document: Any = parse_json(read_file(Path(where), _REPORT), where, _REPORT.expected)
    try:
        return _of(cast("dict[str, Any]", document), check, text, given)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(where, "a report of another version of this program", "one of this version") from error


def _of(document: dict[str, Any], check: str, text: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    then = next((each["verdict"] for each in document["checks"] if each["id"] == check), None)
    if then is None:
        raise InputError(f"{WHERE} {text}", "the report has no such check", "one that was asked for then")
    for name, value in given.items():
        if name in {"also", "only", "skip", "expect", "sign", "controls"} and value:
            raise InputError(f"--{name}", "means nothing with --replay", "one of the two")
    target, *also = document["target"]
    asked = {name: Path(value) if name in _PATHS and value else value for name, value in document["asked"].items()}
    images = {_OPTIONS[each["role"]]: Path(each["file"]) for each in document["images"]}
    options: dict[str, Any] = {"irreversible": False, "resets": False, **asked, **images}
    options |= {"policy": Path(document["policy"]["file"]), **given}
    options |= {"also": tuple(also), "only": (check,), "skip": (), "variables": tuple(options["variables"])}
    _see_that_it_is_the_same(document, options)
    forbidden = Permitted(irreversible=options["irreversible"], resets=options["resets"]).forbids(BY_ID[check])
    if forbidden is not None:
        raise InputError(f"{WHERE} {text}", forbidden.removeprefix("not run: "), "that option, given now")
    return str(given.get("target") or target), options, str(then)


_OPTIONS: Final = {"next": "next_image", "image": "image"}


def _see_that_it_is_the_same(document: dict[str, Any], options: Mapping[str, Any]) -> None:
    policy = read_policy(options["policy"])
    if policy.digest.hex() != document["policy"]["sha256"]:
        raise InputError(str(options["policy"]), "not the policy of that report", "the same rules")
    for each in document["images"]:
        path = options[_OPTIONS[each["role"]]]
        if hashlib.sha256(read_file(path, _IMAGE)).hexdigest() != each["sha256"]:
            raise InputError(str(path), "not the image of that report", f"the file with SHA-256 {each['sha256']}")
