"""What the pump must do, written down a second time and in another way: by hand, with numbers, without the machine.

It knows the pump's policy by heart. It imports nothing of the gate, the policy or the device.
"""

from dataclasses import dataclass, field

SERVED = {
    "normal": {"echo", "list"},
    "active": set[str](),
    "pairing": set[str](),
    "maintenance": {"echo", "list", "upload", "state", "erase", "reset"},
}
"""Commands that each mode serves, besides asking about the mode."""

LEASE_MS, LEASE_MAX_MS, IDLE_MS, PAIRING_MS, TRIAL_MS, RESET_MS = 900_000, 3_600_000, 120_000, 60_000, 120_000, 250
FREE_TRIES, FIRST_WAIT_MS, MAX_WAIT_MS = 3, 1_000, 300_000


@dataclass
class Oracle:
    now: int = 0
    mode: str = "normal"
    motion: bool = False
    battery: int = 100
    ends: dict[str, int] = field(default_factory=dict[str, int])
    by_button: bool = False
    owner: int | None = None
    centrals: set[int] = field(default_factory=set[int])
    others: set[int] = field(default_factory=set[int])
    shown: bool = False
    running: int = 0
    spare: int | None = None
    armed: bool = False
    trial: bool = False
    failures: int = 0
    locked_until: int = 0
    boots: int = 1
    asked: dict[int, bool] = field(default_factory=dict[int, bool])
    """Who has asked and does not take its answers; whether the mode is still the one that it asked in."""

    # --- consequences ---

    def settle(self) -> None:
        if self.mode == "maintenance" and (self.motion or (not self.by_button and self.battery < 30)):
            self.end_session()
        if self.mode == "normal" and self.motion:
            self.go("active")
        elif self.mode == "active" and not self.motion:
            self.go("normal")
        self.show()

    def changed(self) -> None:
        self.asked = dict.fromkeys(self.asked, False)

    def go(self, mode: str) -> None:
        self.changed()
        self.mode = mode
        self.ends = {"pairing": self.now + PAIRING_MS} if mode == "pairing" else {}

    def show(self) -> None:
        if not self.centrals:
            self.shown = self.mode == "maintenance"

    def begin_session(self, owner: int | None) -> None:
        self.changed()
        self.mode, self.owner, self.by_button = "maintenance", owner, owner is None
        self.ends = {
            name: self.now + ms for name, ms in (("lease", LEASE_MS), ("most", LEASE_MAX_MS), ("idle", IDLE_MS))
        }
        if not self.shown:
            self.everybody_off_ble()

    def everybody_off_ble(self) -> None:
        if self.owner in self.centrals:
            self.owner = None
        self.centrals.clear()
        self.show()

    def end_session(self) -> None:
        self.armed, self.owner = False, None
        if self.trial:
            self.revert()
            self.comes_up()
        self.go("normal")

    def revert(self) -> None:
        assert self.spare is not None
        self.running, self.spare, self.trial = self.spare, self.running, False

    def comes_up(self) -> None:
        """A start: everybody is gone, waits for wrong proofs begin again."""
        self.boots += 1
        self.centrals.clear()
        self.others.clear()
        self.asked.clear()
        self.owner, self.armed, self.shown = None, False, False
        self.locked_until = self.now + self.wait()

    def resets(self) -> None:
        armed, trial = self.armed, self.trial
        left = {name: self.ends[name] for name in ("lease", "most")}
        if armed:
            assert self.spare is not None
            self.running, self.spare, self.trial = self.spare, self.running, True
        elif trial:
            self.revert()
        self.comes_up()
        if armed or trial:
            self.ends = {**left, "idle": self.now + IDLE_MS}
            if self.trial:
                self.ends["trial"] = self.now + TRIAL_MS
        else:
            self.go("normal")
        self.settle()

    def wait(self) -> int:
        over = self.failures - FREE_TRIES
        return 0 if over <= 0 else min(FIRST_WAIT_MS * 2 ** (over - 1), MAX_WAIT_MS)

    def busy(self) -> None:
        if self.mode == "maintenance":
            self.ends["idle"] = self.now + IDLE_MS

    # --- events ---

    def time(self, ms: int) -> None:
        end = self.now + ms
        while self.ends and min(self.ends.values()) <= end:
            name = min(self.ends, key=lambda each: self.ends[each])
            self.now = max(self.now, self.ends.pop(name))
            if name == "reset":
                self.resets()
            elif name == "trial":
                left = {each: self.ends[each] for each in ("lease", "most")}
                self.revert()
                self.comes_up()
                self.ends = {**left, "idle": self.now + IDLE_MS}
                self.settle()
            elif name == "pairing":
                self.go("normal")
                self.settle()
            else:
                self.end_session()
                self.settle()
        self.now = end

    def power_cycle(self) -> None:
        if self.trial:
            self.revert()
        self.comes_up()
        self.go("normal")
        self.settle()

    def sense(self, *, motion: bool | None = None, battery: int | None = None) -> None:
        self.motion = self.motion if motion is None else motion
        self.battery = self.battery if battery is None else battery
        self.settle()

    def button(self, hold_ms: int) -> None:
        if self.mode == "normal" and hold_ms >= 5_000 and not self.motion:
            self.begin_session(None)
        elif self.mode == "normal" and 2_000 <= hold_ms < 5_000:
            self.go("pairing")
        self.settle()

    def gone(self, peer: int) -> None:
        self.centrals.discard(peer)
        self.others.discard(peer)
        self.owner = None if self.owner == peer else self.owner
        self.show()

    def proves(self, *, right: bool) -> bool:
        """Whether the proof is heard and right."""
        if self.now < self.locked_until:
            return False
        if right:
            self.failures = 0
            return True
        self.failures += 1
        self.locked_until = self.now + self.wait()
        return False

    def enter(self, peer: int, *, right: bool) -> bool:
        if self.mode == "maintenance" and self.owner == peer:
            return True
        if not self.proves(right=right):
            return False
        if self.mode == "maintenance":
            self.owner = peer
            self.busy()
            return True
        if self.motion or self.battery < 30 or self.centrals - {peer}:
            return False
        self.begin_session(peer)
        return True

    def leave(self) -> None:
        if self.mode == "maintenance":
            self.end_session()
            self.settle()

    def extend(self) -> bool:
        if self.mode != "maintenance":
            return False
        self.ends["lease"] = self.now + LEASE_MS
        self.busy()
        return True

    def serves(self, command: str) -> bool:
        if command not in SERVED[self.mode]:
            return False
        self.busy()
        return True

    def upload(self, content: int) -> bool:
        if not self.serves("upload") or self.trial:
            return False
        self.spare, self.armed = content, False
        return True

    def arm(self) -> bool:
        if not self.serves("state") or self.trial or self.spare is None:
            return False
        self.armed = True
        return True

    def hears(self, peer: int) -> bool:
        """It takes its answers again: whether its request is executed now."""
        return self.asked.pop(peer) and self.serves("echo")

    def reset(self) -> bool:
        if not self.serves("reset"):
            return False
        self.ends.setdefault("reset", self.now + RESET_MS)
        return True

    def confirm(self) -> bool:
        if not self.serves("state"):
            return False
        if self.armed:
            return False
        self.trial = False
        self.ends.pop("trial", None)
        return True
