"""`python -m bench.console`: how soon the console's pages show what is, and what two hundred devices cost a browser.

The console runs in this process, as it does for people; its browser is Debian's, in a process of its own. Both read the
same clock.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from keyswitch.app.request import UpdateRequest
from keyswitch.console.addresses import ListenAddress
from keyswitch.console.bench import Bench, BenchDevice
from keyswitch.console.server import ServerOptions, Serving, serve
from keyswitch.host.update.events import Message

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")

FIRST_PAGE_MS: Final = 300
EVENT_MS: Final = 200
TASK_MS: Final = 100
"""The marks."""

EVENTS: Final = 50
EACH_MS: Final = 100
DEVICES: Final = 200

WATCH: Final = """() => {
  window.seen = {};
  window.tasks = [];
  new MutationObserver(() => {
    for (const each of document.querySelectorAll('.said li')) window.seen[each.textContent] ??= Date.now();
  }).observe(document, { childList: true, subtree: true });
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((each) => each.duration)))
    .observe({ entryTypes: ['longtask'] });
}"""


def _bench(count: int, records: Path) -> Bench:
    requests = [UpdateRequest(target=f"udp:127.0.0.1:{10_000 + number}") for number in range(count)]
    return Bench(
        [BenchDevice(request=each, name=f"Pump {number}") for number, each in enumerate(requests)],
        radio=None,
        request=None,
        policy=None,
        records=records,
        now_ms=lambda: round(time.time() * 1000),
    )


async def _served(bench: Bench) -> tuple[str, "asyncio.Task[None]"]:
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    options = ServerOptions(listen=ListenAddress.parse("127.0.0.1:0"))
    task = asyncio.ensure_future(serve(bench, options, policy=None, ready=ready.set_result))
    return (await ready).url, task


async def _first_pages(browser: Browser, url: str) -> list[int]:
    """Milliseconds from the address to a page that can be used, each time in a browser that has seen nothing of it."""
    found = []
    for _ in range(5):
        context = await browser.new_context()
        page = await context.new_page()
        began = time.perf_counter()
        await page.goto(url, wait_until="domcontentloaded")
        found.append(round((time.perf_counter() - began) * 1000))
        await context.close()
    return found


async def _events(page: Page, bench: Bench, target: str) -> list[int]:
    """Milliseconds from an event of a device to its line on the page."""
    await page.evaluate(WATCH)
    sent: dict[str, int] = {}
    for number in range(EVENTS):
        line = f"event {number}"
        sent[line] = round(time.time() * 1000)
        bench.campaign_tells(target, Message(text=line, at_ms=0))
        await asyncio.sleep(EACH_MS / 1000 + 0.013 * (number % 7))  # not in step with the stream's own pauses
    await asyncio.sleep(1)
    seen: dict[str, int] = await page.evaluate("window.seen")
    return [seen[line] - at for line, at in sent.items() if line in seen]


async def _tasks(page: Page, bench: Bench) -> list[float]:
    """Long tasks of the browser, in milliseconds, while events come ten times a second."""
    await page.evaluate(WATCH)
    targets = [card.target for card in bench.cards.values()]
    for number in range(EVENTS):
        bench.campaign_tells(targets[number * 7 % len(targets)], Message(text=f"event {number}", at_ms=0))
        await asyncio.sleep(EACH_MS / 1000)
    tasks: list[float] = await page.evaluate("window.tasks")
    return tasks


async def _measured() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            bench = _bench(1, Path(directory))
            url, task = await _served(bench)
            first = await _first_pages(browser, url)
            page = await browser.new_page()
            (card,) = bench.cards.values()
            await page.goto(f"{url}devices/{card.key}")
            events = await _events(page, bench, card.target)
            await page.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            many = _bench(DEVICES, Path(directory))
            url, task = await _served(many)
            page = await browser.new_page()
            await page.goto(url)
            tasks = await _tasks(page, many)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await browser.close()
    return {"first_page_ms": first, "event_ms": events, "tasks_ms": tasks}


def main() -> None:
    """Print what was measured beside the marks, and write it into build/console-bench.json."""
    found = asyncio.run(_measured())
    first, events, tasks = found["first_page_ms"], found["event_ms"], found["tasks_ms"]
    Path("build").mkdir(exist_ok=True)
    Path("build/console-bench.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"first page: median {statistics.median(first):.0f} ms, at most {max(first)} ms (mark {FIRST_PAGE_MS})")
    lost = EVENTS - len(events)
    print(f"event on the page: median {statistics.median(events):.0f} ms, at most {max(events)} ms (mark {EVENT_MS})")
    print(f"events that a page never showed, since a later one came: {lost} of {EVENTS}")
    print(f"{DEVICES} devices, ten events a second: longest task {max(tasks, default=0):.0f} ms (mark {TASK_MS})")


if __name__ == "__main__":
    main()
