// Shows what the console's stream tells, lets a button be held, and says how long ago things were. Nothing else.
"use strict";

const HOLD_MS = 1200;
const LOST_MS = 3000;

const $ = (id) => document.getElementById(id);

// --- the stream: each part takes the place of what has its id ---

function listen() {
  const from = document.body.dataset.stream;
  if (!from) return;
  const stream = new EventSource(from);
  let lost;
  stream.addEventListener("part", (event) => put(event.data));
  stream.onopen = () => {
    clearTimeout(lost);
    lost = undefined;
    const line = $("lost");
    if (!line.hidden) tell(line.dataset.back);
    line.hidden = true;
  };
  stream.onerror = () => {
    lost ??= setTimeout(() => {
      $("lost").textContent = $("lost").dataset.lost;
      $("lost").hidden = false;
    }, LOST_MS);
    // A browser gives up where it was refused; the console may be back, or the session may be over.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), LOST_MS);
  };
}

const held = new Set(); // ids of parts in which a button is being held
const late = new Map(); // what came for them meanwhile

function put(html) {
  const box = document.createElement("template");
  box.innerHTML = html;
  const part = box.content.firstElementChild;
  for (const each of part.querySelectorAll("noscript")) each.remove(); // a template takes its content for elements
  if (held.has(part.id)) {
    late.set(part.id, html);
    return;
  }
  const old = $(part.id);
  if (!old) {
    $("cards")?.append(part);
    $("none")?.remove();
  } else {
    const focus = old.contains(document.activeElement) ? document.activeElement.id : "";
    if (part.dataset.say && part.dataset.say !== old.dataset.say) tell(part.dataset.say);
    old.replaceWith(part);
    if (focus) ($(focus) ?? part.querySelector("button, a"))?.focus();
  }
  times();
}

function tell(words) {
  $("told").textContent = words;
}

// --- forms: sent in the background; what comes of them comes by the stream ---

async function send(form) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    redirect: "manual",
  }).catch(() => undefined);
  if (answer && answer.type !== "opaqueredirect" && !answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    tell(page.querySelector("main p")?.textContent ?? answer.statusText);
    $("lost").textContent = $("told").textContent;
    $("lost").hidden = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches(".act") && form.getAttribute("action") !== "/listen") return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.matches(".hold") && form.elements.held.value !== "yes") {
    tell(button.dataset.hold);
    hint(button);
    return;
  }
  button.disabled = true;
  send(form).finally(() => {
    button.disabled = false;
    if (form.elements.held) form.elements.held.value = "";
  });
});

function hint(button) {
  let line = button.form.querySelector(".hint");
  if (!line) {
    line = document.createElement("p");
    line.className = "hint";
    button.after(line);
  }
  line.textContent = button.dataset.hold;
}

// --- holding: by pointer, or by Space or Enter ---

let holding;

function hold(button) {
  if (holding || button.disabled) return;
  const part = button.closest("[id^=card-]");
  held.add(part.id);
  button.classList.add("held");
  holding = {
    button,
    part: part.id,
    timer: setTimeout(() => {
      button.form.elements.held.value = "yes";
      const form = button.form;
      release();
      form.requestSubmit();
    }, HOLD_MS),
  };
}

function release() {
  if (!holding) return;
  const { button, part, timer } = holding;
  holding = undefined;
  clearTimeout(timer);
  button.classList.remove("held");
  held.delete(part);
  const html = late.get(part);
  late.delete(part);
  // What stands there now may be the form that is about to be sent: it is replaced after that.
  if (html) setTimeout(() => put(html));
}

const holdable = (event) => event.target.closest?.("button.hold");

document.addEventListener("pointerdown", (event) => {
  const button = event.button === 0 && holdable(event);
  if (button) hold(button);
});
for (const name of ["pointerup", "pointercancel", "blur", "visibilitychange"]) {
  (name === "blur" ? window : document).addEventListener(name, release);
}
document.addEventListener("keydown", (event) => {
  const button = (event.key === " " || event.key === "Enter") && holdable(event);
  if (!button) return;
  event.preventDefault();
  if (!event.repeat) hold(button);
});
document.addEventListener("keyup", (event) => {
  if (!holdable(event)) return;
  event.preventDefault();
  const early = holding;
  release();
  if (early) hint(early.button);
});
document.addEventListener("contextmenu", (event) => holdable(event) && event.preventDefault());

// --- times: how long ago, in the reader's own clock ---

function times() {
  for (const each of document.querySelectorAll("time[data-at]")) {
    const at = Number(each.dataset.at);
    const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
    const moment = new Date(at).toLocaleTimeString();
    const { ago, day, seconds: some, minutes: many } = document.body.dataset;
    const time = seconds < 60 ? some.replace("NUMBER", seconds) : many.replace("NUMBER", Math.floor(seconds / 60));
    const words = (seconds < 3600 ? ago : day)
      .replace("MOMENT", moment)
      .replace("TIME", time)
      .replace("DAY", new Date(at).toLocaleDateString());
    if (each.textContent !== words) each.textContent = words;
  }
}

setInterval(times, 1000);
times();
listen();
