"""One slot for the application, alone or beside a firmware loader: nothing is moved, erased or marked.

MCUboot boot/zephyr/firmware_loader.c and single_loader.c (`boot_go`). Rules kept here:

* the loader runs if it is asked for and good, else the application, else the loader once more where that is built in;
* both are checked before they run, with the same keys; a trailer is never looked at: there is no trial;
* what fails a check stays where it is. Security counters are not raised: `boot_go` here never does.
"""

from dataclasses import replace

from keyswitch.mcuboot.config import BootConfig, LoaderEntrance, stored_counter
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Algorithm, Slot, area
from keyswitch.mcuboot.report import BootReport, ImageReport, look
from keyswitch.mcuboot.verify import verify


def boot_one_slot(
    flash: Flash, config: BootConfig, *, counters: tuple[int, ...], loader_asked: bool = False
) -> BootReport:
    """Boot once, without changing anything."""
    pair = config.layout.pairs[0]
    report = ImageReport(
        image=0,
        primary=look(flash, config.layout, pair.primary),
        secondary=look(flash, config.layout, pair.secondary),
    )
    for slot, why in _candidates(config, loader_asked=loader_asked):
        report = report.because(why) if why else report
        report = _try(flash, config, slot, report, counters)
        if report.running_slot is not None:
            break
    else:
        report = report.because("nothing runs")
    return BootReport(images=(report,), counters=(stored_counter(counters, 0),))


def _candidates(config: BootConfig, *, loader_asked: bool) -> tuple[tuple[Slot, str], ...]:
    """The slots to try, in order, and why each is tried; empty for the application, which is the rule."""
    pair = config.layout.pairs[0]
    application = (pair.primary, "")
    if config.layout.algorithm is Algorithm.SINGLE_SLOT:
        return (application,)
    asked = ((pair.secondary, "the firmware loader was asked for"),) if loader_asked else ()
    if LoaderEntrance.NO_APPLICATION not in config.loader_entrances:
        return (*asked, application)
    return (*asked, application, (pair.secondary, "no application may run: the firmware loader is started"))


def _try(flash: Flash, config: BootConfig, slot: Slot, report: ImageReport, counters: tuple[int, ...]) -> ImageReport:
    name = "the firmware loader" if slot.slot else "the application"
    verdict = verify(area(flash, slot), config.keys, config.limits_of(slot, counters))
    report = replace(report, checks=verdict.checks)
    if verdict.refusal is not None and (config.validate_primary or verdict.image is None):
        return report.because(f"{name} does not run: {verdict.refusal.detail}")
    assert verdict.image is not None  # noqa: S101 - it was read
    return replace(
        report.because(f"runs {verdict.image.version}" + (", the firmware loader" if slot.slot else "")),
        running_slot=slot.slot,
        running_version=verdict.image.version,
        running_hash=verdict.image.hash,
    )
