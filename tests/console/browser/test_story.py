"""What a person at the machine does with the console, in a real browser, with real devices."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from tests.campaign import tray
from tests.console.browser import rig
from tests.console.browser.axe import serious_problems

from keyswitch.demo.workshop import Workshop
from keyswitch.host.report.evidence_file import read_journal
from keyswitch.panel.client import ask

pytestmark = pytest.mark.console

SHOTS = Path("build/console")
SLOW_FLASH = ("--flash", "nrf52840")
UPDATE_MS = 60_000
expect.set_options(timeout=UPDATE_MS)

SIZES = pytest.mark.parametrize("size", [rig.NARROW, rig.WIDE], ids=["360", "1280"])


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with sync_playwright() as playwright:
        started = rig.browser(playwright)
        yield started
        started.close()


TOO_SMALL = """() => {
  const seen = (each) => each.getClientRects().length && !each.matches('.skip, .unseen');
  const reached = [...document.querySelectorAll('button, a, input:not([type=hidden])')].filter(seen);
  const low = reached.filter((each) => each.getBoundingClientRect().height < 44).map((each) => each.outerHTML);
  const words = [...document.querySelectorAll('body *')].filter((each) => seen(each) && each.textContent.trim());
  const tiny = words.filter((each) => parseFloat(getComputedStyle(each).fontSize) < 16).map((each) => each.outerHTML);
  return [...low, ...tiny];
}"""
"""What a finger cannot hit (44 px), and what an eye cannot read (16 px)."""


STOPS_IN_THE_UPLOAD = """() => {
  const watch = new MutationObserver(() => {
    const stop = document.querySelector('progress') && document.querySelector('button.stop');
    if (!stop) return;
    watch.disconnect();
    stop.click();
  });
  watch.observe(document, { childList: true, subtree: true });
}"""
"""Presses Stop as soon as the upload is shown: an update of a small image is over before a slow machine does."""


def opened(browser: Browser, url: str, size: dict[str, int], **more: str) -> tuple[Page, list[Request]]:
    page = browser.new_page(viewport=size, **more)  # type: ignore[arg-type]  # sizes and schemes as it has them
    page.set_default_timeout(UPDATE_MS)
    asked: list[Request] = []

    def note(request: Request) -> None:  # a function: Playwright cannot take the method of a list
        asked.append(request)

    page.on("request", note)
    page.goto(url)
    return page, asked


def shown(page: Page, name: str) -> None:
    """Keep a picture; nothing stands out of the page, and nobody is shut out of it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert serious_problems(page) == [], name
    assert page.evaluate(TOO_SMALL) == [], name


@SIZES
def test_a_technician_is_refused_while_it_moves_then_updates_it_and_takes_it_away(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target, rig.console([target], tmp_path, *options) as console:
        page, asked = opened(browser, console.url, size)
        name = f"{size['width']}"
        expect(page.get_by_role("heading", name="Pump 7")).to_be_visible()

        rig.moves(state, is_true=True)
        page.get_by_role("button", name="Ask it now").click()
        expect(page.get_by_text("motion must be false, it is true")).to_be_visible()
        shown(page, f"moving-{name}")
        rig.hold(page, "Hold to update")
        expect(page.get_by_text("Last update: refused")).to_be_visible()

        rig.moves(state, is_true=False)
        rig.hold(page, "Hold to update")
        expect(page.locator("progress")).to_be_visible()
        expect(page.get_by_text("left", exact=False).first).to_be_visible()
        shown(page, f"updating-{name}")
        expect(page.get_by_text("Done: it can be taken away")).to_be_visible()
        expect(page.get_by_text("Runs 1.1.0")).to_be_visible()
        shown(page, f"done-{name}")

        page.get_by_role("link", name="Pump 7").click()
        expect(page.get_by_role("heading", name="Earlier runs")).to_be_visible()
        expect(page.get_by_text("Run 5: confirmed")).to_be_visible()
        shown(page, f"device-{name}")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the record").click()
        record = tmp_path / "record.jsonl"
        download.value.save_as(record)
        told = [json.loads(line) for line in record.read_text().splitlines()]
        assert [each["body"].get("outcome") for each in told if each["kind"] == "update ended"] == [
            "refused",
            "confirmed",
        ]
        assert "asked for by" in told[0]["body"]["note"]
        assert {urlsplit(each.url).netloc for each in asked} == {urlsplit(console.url).netloc}


@SIZES
def test_a_page_that_is_loaded_again_in_the_middle_shows_what_is_so(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target, rig.console([target], tmp_path, *options) as console:
        page, _ = opened(browser, console.url, size)
        rig.hold(page, "Hold to update")
        expect(page.locator("progress")).to_be_visible()
        page.reload()
        expect(page.get_by_text("Under way").or_(page.get_by_text("Done: it can be taken away")).first).to_be_visible()
        page.context.set_offline(True)
        page.wait_for_timeout(1_000)
        page.context.set_offline(False)
        expect(page.get_by_text("Done: it can be taken away")).to_be_visible()


def test_two_browsers_see_the_same_and_what_both_press_runs_once(
    browser: Browser, pump: Workshop, tmp_path: Path
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target, rig.console([target], tmp_path, *options) as console:
        first, _ = opened(browser, console.url, rig.NARROW)
        other, _ = opened(browser.new_context().browser or browser, console.url, rig.WIDE)
        for page in (first, other):
            expect(page.get_by_role("button", name="Hold to update")).to_be_visible()
        sent = "form => { form.elements.held.value = 'yes'; form.requestSubmit(); form.requestSubmit(); }"
        for page in (first, other):
            page.locator("form[action$=update]").evaluate(f"form => {{ ({sent})(form) }}")
        for page in (first, other):
            expect(page.get_by_text("Done: it can be taken away")).to_be_visible()
        (record,) = (tmp_path / "records").glob("*.jsonl")
        kinds = [each.kind for each in read_journal(record).records]
        assert kinds.count("update begun") == 1


@SIZES
def test_an_update_is_stopped_and_the_device_led_out(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target, rig.console([target], tmp_path, *options) as console:
        page, _ = opened(browser, console.url, size)
        page.get_by_role("link", name="Pump 7").click()
        page.evaluate(STOPS_IN_THE_UPLOAD)
        rig.hold(page, "Hold to update")
        expect(page.get_by_text("Last update: interrupted")).to_be_visible()
        page.get_by_role("button", name="Leave maintenance").click()
        expect(page.get_by_text("Last update: left maintenance")).to_be_visible()
        expect(page.get_by_text("Mode normal")).to_be_visible()


@SIZES
def test_a_device_that_is_gone_is_told_with_what_to_do(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    options = ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.console(["udp:127.0.0.1:9"], tmp_path, *options) as console:
        page, _ = opened(browser, console.url, size)
        expect(page.get_by_text("Not reached")).to_be_visible()
        expect(page.get_by_text("Next: check that it is powered")).to_be_visible()
        shown(page, f"gone-{size['width']}")


@SIZES
def test_a_plan_says_how_long_and_what_bounds_it(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state) as target, rig.console([target], tmp_path, *options) as console:
        page, _ = opened(browser, console.url, size)
        page.get_by_role("link", name="Pump 7").click()
        page.get_by_role("button", name="Make a plan").click()
        expect(page.get_by_role("heading", name="Plan")).to_be_visible()
        expect(page.get_by_text("The upload is bounded by")).to_be_visible()
        shown(page, f"plan-{size['width']}")


def test_by_keyboard_alone_and_in_the_dark(browser: Browser, pump: Workshop, tmp_path: Path) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target, rig.console([target], tmp_path, *options) as console:
        page, _ = opened(browser, console.url, rig.WIDE, color_scheme="dark")
        button = page.get_by_role("button", name="Hold to update")
        for _ in range(10):
            page.keyboard.press("Tab")
            if button.evaluate("button => button === document.activeElement"):
                break
        shown(page, "dark-1280")
        page.keyboard.press("Space")
        expect(page.get_by_text("Hold the button until it is full.")).to_be_visible()
        page.keyboard.down("Space")
        page.wait_for_timeout(1_400)
        page.keyboard.up("Space")
        expect(page.get_by_text("Done: it can be taken away")).to_be_visible()


@SIZES
def test_a_console_that_is_killed_is_missed_and_found_again(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    state, options = tmp_path / "pump", ("--image", str(pump.new), "--policy", str(pump.policy_file))
    with rig.device(pump, state, *SLOW_FLASH) as target:
        with rig.console([target], tmp_path, *options) as console:
            page, _ = opened(browser, console.url, size)
            rig.hold(page, "Hold to update")
            expect(page.locator("progress")).to_be_visible()
            console.process.kill()
            expect(page.get_by_role("alert")).to_contain_text("This page has lost the console")
            shown(page, f"lost-{size['width']}")
            port = str(urlsplit(console.url).port)
        with rig.console([target], tmp_path, *options, "--listen", f"127.0.0.1:{port}"):
            expect(page.get_by_text("Shut").or_(page.get_by_text("Open")).first).to_be_visible()
            ask(state, {"do": "advance", "ms": 130_000})  # the session of whom nobody hears any more ends by itself
            rig.hold(page, "Hold to update")
            expect(page.get_by_text("Done: it can be taken away")).to_be_visible()


def test_a_hostile_name_is_shown_and_nothing_else(browser: Browser, pump: Workshop, tmp_path: Path) -> None:
    del pump
    target = "ble:<img src=x onerror=alert(1)>\u202e\x1b[31m"
    with rig.console([target], tmp_path) as console:
        page, _ = opened(browser, console.url, rig.NARROW)
        heading = page.get_by_role("heading", level=2)
        expect(heading).to_contain_text("<img src=x onerror=alert(1)>\\u202e\\x1b[31m")
        assert page.locator("main img").count() == 0


WAVES = "\n[waves]\ncounts = [1, 2]\napproval = true\n"


@SIZES
def test_a_campaign_is_begun_approved_and_done(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    with tray.tray(pump, tmp_path, 3) as units:
        file = tray.write_campaign(tmp_path, pump, units, WAVES)
        with rig.console([], tmp_path, "--campaign", str(file)) as console:
            page, _ = opened(browser, console.url, size)
            expect(page.get_by_role("heading", name="P-0")).to_be_visible()
            page.get_by_role("link", name="Campaign").click()
            expect(page.get_by_text("State: not begun")).to_be_visible()
            rig.hold(page, "Begin the campaign")
            expect(page.get_by_text("Wave 2 begins when somebody approves it.")).to_be_visible()
            shown(page, f"campaign-waits-{size['width']}")
            page.get_by_role("button", name="Approve the wave").click()
            expect(page.get_by_text("State: done")).to_be_visible()
            expect(page.get_by_text("3 confirmed")).to_be_visible()
            shown(page, f"campaign-done-{size['width']}")
            page.get_by_role("link", name="Keyswitch").click()
            expect(page.get_by_text("Done: it can be taken away")).to_have_count(3)
        told = [json.loads(line) for line in (tmp_path / "tray.campaign" / "campaign.jsonl").read_text().splitlines()]
        (approved,) = [each for each in told if each["kind"] == "wave approved"]
        assert approved["body"]["who"] == told[0]["body"]["who"]


@SIZES
def test_a_campaign_of_another_process_is_looked_at_and_paused(
    browser: Browser, pump: Workshop, tmp_path: Path, size: dict[str, int]
) -> None:
    with tray.tray(pump, tmp_path, 3, moving=[0]) as units:
        more = "\n[retry.waiting]\nattempts = 100\nwait_s = 1\n"
        file = tray.write_campaign(tmp_path, pump, units, more)
        with (
            rig.ended([sys.executable, "-m", "keyswitch", "campaign", "run", str(file), "--json"]) as carries_out,
            rig.console([], tmp_path, "--campaign", str(file)) as console,
        ):
            page, _ = opened(browser, f"{console.url}campaign", size)
            expect(page.get_by_text("Another process carries it out")).to_be_visible()
            expect(page.get_by_text("2 confirmed")).to_be_visible()
            page.get_by_role("button", name="Pause").click()
            expect(page.get_by_text("State: paused")).to_be_visible()
            shown(page, f"campaign-paused-{size['width']}")
            assert carries_out.stdout is not None
            assert json.loads(carries_out.stdout.read().splitlines()[-1])["state"] == "paused"


def test_from_another_computer_a_token_is_asked_and_the_page_is_encrypted(
    browser: Browser, pump: Workshop, tmp_path: Path
) -> None:
    certificate = rig.certificate(tmp_path)
    with rig.device(pump, tmp_path / "pump") as target:
        options = ("--image", str(pump.new), "--policy", str(pump.policy_file), "--host", "localhost", *certificate)
        with rig.console([target], tmp_path, *options, listen="0.0.0.0:0") as console:
            context = browser.new_context(viewport=rig.NARROW, ignore_https_errors=True)  # type: ignore[arg-type]  # a size
            page = context.new_page()
            page.goto(console.url)
            expect(page.get_by_role("heading", name="Show your token")).to_be_visible()
            shown(page, "login-360")
            for token, name in (("guess", "Smith"), (console.told["look_token"], "Miller")):
                page.get_by_label("Token").fill(token)
                page.get_by_label("Your name").fill(name)
                page.get_by_role("button", name="Enter").click()
            expect(page.get_by_text("You are Miller. You can look, and change nothing.")).to_be_visible()
            expect(page.get_by_role("heading", name="Pump 7")).to_be_visible()
            assert page.get_by_role("button", name="Hold to update").count() == 0
            page.get_by_role("button", name="Log out").click()
            page.get_by_label("Token").fill(console.told["operate_token"])
            page.get_by_label("Your name").fill("Smith")
            page.get_by_role("button", name="Enter").click()
            rig.hold(page, "Hold to update")
            expect(page.get_by_text("Done: it can be taken away")).to_be_visible()
            (cookie,) = context.cookies()
            assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        (record,) = (tmp_path / "records").glob("*.jsonl")
        assert "update asked for by Smith" in record.read_text()
