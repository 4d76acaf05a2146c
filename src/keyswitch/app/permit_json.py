"""What `keyswitch permit show` prints as JSON."""

from typing import TypedDict

from keyswitch.proof.permit import Permit, key_id


class PermitJson(TypedDict):
    """The object of `permit show --json`.

    Times are seconds since 1970 (UTC), as the permit has them; null: it has none. `images` are hashes; null: any image.
    `signed` is null if no issuer's key was given.
    """

    id: str
    issuer: str
    devices: list[str]
    mode: str
    holder: str
    not_before_s: int | None
    expires_s: int | None
    uses: int | None
    images: list[str] | None
    signed: bool | None


def permit_json(permit: Permit, *, signed: bool | None) -> PermitJson:
    """What a permit permits, and whether the issuer that was named has signed it."""
    return {
        "id": permit.id.hex(),
        "issuer": permit.issuer,
        "devices": list(permit.devices),
        "mode": permit.mode,
        "holder": key_id(permit.holder).hex(),
        "not_before_s": permit.not_before_s,
        "expires_s": permit.expires_s,
        "uses": permit.uses,
        "images": None if permit.images is None else sorted(each.hex() for each in permit.images),
        "signed": signed,
    }
