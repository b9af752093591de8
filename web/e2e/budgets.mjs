// The budgets of the UI that need a browser: what each figure may be, and what it is.
//
//   node e2e/budgets.mjs [--tail-minutes N] [--idle-seconds N] [--only WORD,…] [--dist]
//
// Against the release build (TAFFRAIL_E2E_BINARY names another) over localhost, with Chromium's CPU
// throttled to a quarter where the budget says so. Ends with status 1 when a budget is missed.
// `--dist` takes the pages from `dist` rather than from the program.
// What a frame costs is CPU time of the page's main thread, from a trace: a busy machine does not
// change it; the other figures are wall time, the median of several runs.
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./browser.mjs";
import { Data, STREAM } from "./data.mjs";
import { contextOf } from "./screenshots-browser.mjs";
import { closeVites, distOver } from "./screenshots-vite.mjs";
import { Server } from "./server.mjs";

const BINARY = process.env.TAFFRAIL_E2E_BINARY ?? fileURLToPath(new URL("../../target/release/taffrail", import.meta.url));
const { values: options } = parseArgs({
  options: {
    "tail-minutes": { type: "string", default: "1" },
    "idle-seconds": { type: "string", default: "60" },
    only: { type: "string" },
    dist: { type: "boolean", default: false },
  },
});
const RECORDS = 120_000;
const ROWS = 100_000;
const THROTTLE = 4;
const LOADS = 5;
const OPENS = 9;
const SCROLL_FRAMES = 150;
const MB = 1_048_576;
const TAIL_LINES_PER_SECOND = 1_000;
/** Above this the page lags by itself, which is no figure any more. */
const PATIENCE_MS = 120_000;

const rows = [];
function told(name, value, budget, unit, note = "") {
  const isMissed = !(value <= budget);
  rows.push({ name, value, budget, unit, isMissed, note });
  const shown = Number.isInteger(value) ? String(value) : value.toFixed(value < 1 ? 3 : 1);
  console.log(`${isMissed ? "MISSED" : "ok    "}  ${shown.padStart(8)} of ${String(budget).padStart(5)} ${unit.padEnd(5)}  ${name}${note ? `  (${note})` : ""}`);
}
const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const percentile = (values, part) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the page says once its records and its bars are there. */
const THERE = "all is there";
/**
 * Follows a page from its beginning: shell, records, largest paint, shifts. It tells by itself when all
 * is there: to wait for an element from outside puts a script into the page, which takes longer than
 * some of what is measured.
 */
const FOLLOW = (there) => {
  let isThere = false;
  const seen = (globalThis.seen = { shell: null, records: null, lcp: 0, shift: 0 });
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => (seen[name] ??= performance.now())));
  new MutationObserver(() => {
    if (seen.shell === null && document.querySelector("nav") && document.querySelector("form.query")) painted("shell");
    if (seen.records === null && document.querySelector("[role=grid] .row")) painted("records");
    if (isThere || document.querySelectorAll("[role=grid] .row").length <= 10 || !document.querySelector(".histogram canvas")) return;
    isThere = true;
    console.log(there);
  }).observe(document, { childList: true, subtree: true });
  new PerformanceObserver((list) => (seen.lcp = list.getEntries().at(-1).startTime)).observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
};

const server = new Server(BINARY);
let browser;
let pages;
async function open(path, { throttle = 1, follow = false } = {}) {
  const context = await contextOf(browser, pages);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  if (follow) await page.addInitScript(FOLLOW, THERE);
  const debug = await context.newCDPSession(page);
  // In CPU time of the main thread.
  await debug.send("Performance.enable", { timeDomain: "threadTicks" });
  if (throttle > 1) await debug.send("Emulation.setCPUThrottlingRate", { rate: throttle });
  if (path) await page.goto(path);
  return { context, page, debug };
}
/** Milliseconds of CPU time that the main thread has worked so far. */
async function worked(debug) {
  const { metrics } = await debug.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration").value * 1_000;
}
const isThere = (page) => page.locator("[role=grid] .row").nth(10).waitFor();
/** What comes at rest has come: the editor is the last of it. */
async function isAtRest(page) {
  await page.locator("[role=grid] .row").first().waitFor();
  await page.locator(".cm-content").waitFor();
  await page.waitForLoadState("networkidle");
}

/** First paints, each with an empty cache. */
async function load() {
  const found = [];
  for (let i = 0; i < LOADS; i += 1) {
    const { context, page, debug } = await open(null, { throttle: THROTTLE, follow: true });
    const there = page.waitForEvent("console", { predicate: (message) => message.text() === THERE, timeout: PATIENCE_MS });
    await page.goto("/logs?from=now-6h");
    await there;
    await page.waitForLoadState("networkidle");
    const work = await worked(debug);
    found.push({ ...(await page.evaluate(() => globalThis.seen)), work });
    await context.close();
  }
  const of = (name) => median(found.map((one) => one[name]));
  told("first meaningful paint, 4×", of("shell"), 800, "ms", `records painted at ${Math.round(of("records"))} ms; until all was still the main thread worked ${Math.round(of("work"))} ms`);
  told("largest contentful paint, 4×", of("lcp"), 1_200, "ms");
  told("cumulative layout shift, 4×", Math.max(...found.map((one) => one.shift)), 0.02, "");
}

/** Milliseconds from a press on a row to the painted panel with its message, and with its fields. */
function openTime(page, index) {
  return page.evaluate(
    (at) =>
      new Promise((resolve) => {
        const start = performance.now();
        let message = null;
        const painted = (done) => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
        const observer = new MutationObserver(() => {
          const panel = document.querySelector("aside[aria-label=Record]");
          if (message === null && panel?.querySelector(".message")?.textContent) {
            message = 0;
            painted((ms) => (message = ms));
          }
          if (!panel?.querySelector("[role=tabpanel] tr")) return;
          observer.disconnect();
          painted((ms) => resolve({ message: message || ms, fields: ms }));
        });
        observer.observe(document.body, { childList: true, subtree: true, characterData: true });
        document.querySelectorAll("[role=grid] .row")[at].click();
      }),
    index,
  );
}

async function rowOpen() {
  const { context, page, debug } = await open("/logs?from=now-6h", { throttle: THROTTLE });
  await isAtRest(page);
  const times = [];
  const work = [];
  for (let i = 0; i < OPENS; i += 1) {
    // A fresh row each, with the panel closed before.
    const before = await worked(debug);
    times.push(await openTime(page, 1 + i));
    work.push((await worked(debug)) - before);
    await page.getByRole("button", { name: "Close" }).first().click();
    await page.locator(".row.open").waitFor({ state: "detached" });
  }
  const of = (name) => times.map((one) => one[name]);
  told("opening a row, 4×", median(of("message")), 100, "ms", `${OPENS} rows, slowest ${Math.round(Math.max(...of("message")))}; its fields ${Math.round(median(of("fields")))} ms; the main thread worked ${Math.round(median(work))} ms`);
  await context.close();
}

async function bigMessage() {
  const text = `begin ${"0123456789abcdef ".repeat(Math.floor(MB / 17))}`.slice(0, MB - 1_024);
  await server.send(STREAM, [{ level: "info", source: "big", message: text, timestamp: new Date().toISOString() }]);
  const { context, page } = await open("/logs?q=source:big&from=now-6h", { throttle: THROTTLE });
  await isAtRest(page);
  const { message: preview, fields } = await openTime(page, 0);
  told("previewing a message of 1 MB, 4×", preview, 150, "ms", `all of it with its fields ${Math.round(fields)} ms`);
  await context.close();
}

/** CPU time of the main thread in each frame, in ms, of a trace. */
function frames(events) {
  const thread = events.find((event) => event.name === "thread_name" && event.args?.name === "CrRendererMain" && events.some((other) => other.tid === event.tid && other.pid === event.pid && other.name === "FireAnimationFrame"));
  const own = events.filter((event) => event.pid === thread.pid && event.tid === thread.tid);
  const begins = own.filter((event) => event.name === "FireAnimationFrame").map((event) => event.ts).sort((a, b) => a - b);
  const costs = new Array(begins.length).fill(0);
  let frame = 0;
  for (const task of own.filter((event) => event.name === "RunTask" && event.ph === "X").sort((a, b) => a.ts - b.ts)) {
    // A task that holds the frame's callbacks begins before they do.
    while (frame + 1 < begins.length && task.ts + task.dur > begins[frame + 1]) frame += 1;
    if (task.ts + task.dur >= begins[0]) costs[frame] += (task.tdur ?? task.dur) / 1_000;
  }
  return costs;
}

async function traced(debug, work) {
  const events = [];
  const take = ({ value }) => events.push(...value);
  debug.on("Tracing.dataCollected", take);
  await debug.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"] } });
  await work();
  const ended = new Promise((resolve) => debug.once("Tracing.tracingComplete", resolve));
  await debug.send("Tracing.end");
  await ended;
  debug.off("Tracing.dataCollected", take);
  return events;
}

/** In the page: scrolls by steps; the most rows that were in the document. */
async function scrolled([from, step, count]) {
  const view = document.querySelector("[role=grid]");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let most = 0;
  view.scrollTop = from;
  await frame();
  for (let i = 0; i < count; i += 1) {
    view.scrollTop += step;
    await frame();
    most = Math.max(most, document.querySelectorAll("[role=grid] .row").length);
  }
  return most;
}

async function scroll() {
  const { context, page, debug } = await open(null);
  // The list asks for 200 at a time; here for more, to have all of them sooner.
  await page.route("**/api/v1/search", (route) => {
    const body = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify(body.limit > 0 ? { ...body, limit: 10_000 } : body) });
  });
  await page.goto("/logs?from=now-6h");
  await isThere(page);
  const loaded = await page.evaluate(
    async ([wanted, limitMs]) => {
      const end = performance.now() + limitMs;
      const view = document.querySelector("[role=grid]");
      const height = document.querySelector("[role=grid] .row").offsetHeight;
      while (performance.now() < end) {
        view.scrollTop = view.scrollHeight;
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (document.querySelector("[role=grid] .space").offsetHeight / height >= wanted - 1) return true;
      }
      return false;
    },
    [ROWS, PATIENCE_MS],
  );
  if (!loaded) throw new Error(`${ROWS} rows were not loaded`);
  let nodes = 0;
  const costs = [];
  // Pixels a frame: as a wheel does, as a thrown finger does; then by the bar, while which no row is drawn.
  for (const [from, step] of [[20_000, 66], [600_000, 200], [0, 14_000]]) {
    const events = await traced(debug, async () => {
      nodes = Math.max(nodes, await page.evaluate(scrolled, [from, step, SCROLL_FRAMES]));
    });
    costs.push(frames(events));
  }
  const [wheel, thrown, jumps] = costs;
  const scrolls = [...wheel, ...thrown];
  told("main thread a frame, p95, 100,000 rows", percentile(scrolls, 0.95), 8, "ms", `wheel ${median(wheel).toFixed(1)}, thrown ${median(thrown).toFixed(1)} in the middle`);
  told("the same, dragging the bar", percentile(jumps, 0.95), 8, "ms", `${median(jumps).toFixed(1)} in the middle`);
  told("row nodes, 100,000 rows", nodes, 120, "");
  await context.close();
}

const heapOf = async (debug) => {
  await debug.send("HeapProfiler.collectGarbage");
  await debug.send("HeapProfiler.collectGarbage");
  return (await debug.send("Runtime.getHeapUsage")).usedSize / MB;
};

/** In the page: counts how often its list is drawn; what comes within a frame is one time. */
const COUNT_RENDERS = () => {
  const seen = (globalThis.renders = { count: 0, since: performance.now() });
  let isCounted = false;
  new MutationObserver(() => {
    if (isCounted) return;
    isCounted = true;
    seen.count += 1;
    requestAnimationFrame(() => (isCounted = false));
  }).observe(document.querySelector("[role=grid]"), { childList: true, subtree: true, characterData: true });
};
/** Part of the tail of which each frame is looked at. */
const TRACED_MS = 10_000;

async function tail() {
  const minutes = Number(options["tail-minutes"]);
  const { context, page, debug } = await open("/logs?live=1");
  await page.getByRole("grid", { name: "Live records" }).waitFor();
  await debug.send("HeapProfiler.enable");
  await sleep(2_000);
  const before = await heapOf(debug);
  await page.evaluate(COUNT_RENDERS);
  const data = new Data(RECORDS, Date.now());
  const begun = Date.now();
  const end = begun + minutes * 60_000;
  let sent = 0;
  let most = 0;
  async function send() {
    while (Date.now() < end) {
      // As many as are due, so that a slow answer does not lower the rate.
      const due = Math.floor(((Date.now() - begun) / 1_000) * TAIL_LINES_PER_SECOND) - sent;
      if (due > 0) {
        const now = new Date().toISOString();
        const lines = Array.from({ length: due }, (_, i) => data.line((sent + i) % RECORDS).replace(/"timestamp":"[^"]*"/, `"timestamp":"${now}"`));
        await server.send(STREAM, lines.join("\n"));
        sent += due;
      }
      most = Math.max(most, loadavg()[0]);
      await sleep(100);
    }
  }
  const sending = send();
  await sleep(minutes * 30_000);
  const costs = frames(await traced(debug, () => sleep(TRACED_MS)));
  await sending;
  const { count, since } = await page.evaluate(() => ({ ...globalThis.renders, since: performance.now() - globalThis.renders.since }));
  // Everything has come once the last one is there.
  await page.locator("[role=grid] .row").getByText(`call ${(sent - 1) % RECORDS}`).first().waitFor();
  await sleep(2_000);
  const grown = (await heapOf(debug)) - before;
  const shown = await page.locator(".bar .muted").first().innerText();
  const lost = await page.locator(".lost").allInnerTexts();
  const dropped = lost.reduce((sum, text) => sum + Number(/^[\d,]+/.exec(text)[0].replaceAll(",", "")), 0);
  told(`heap grown by a tail of ${TAIL_LINES_PER_SECOND} lines/s for ${minutes} min`, grown, 20, "MiB", `${sent} sent, ${shown}, ${before.toFixed(1)} MiB before; load at most ${most.toFixed(1)}`);
  told("records that it dropped", dropped, 0, "", lost.join(", "));
  told("renders a second", count / (since / 1_000), 10, "", `main thread a frame p95 ${percentile(costs, 0.95).toFixed(1)} ms, ${median(costs).toFixed(1)} in the middle, busy ${(costs.reduce((sum, one) => sum + one, 0) / (TRACED_MS / 100)).toFixed(0)}% of ${TRACED_MS / 1_000} s`);
  await context.close();
}

async function idle() {
  const { context, page } = await open("/logs?from=now-6h");
  await isAtRest(page);
  await sleep(2_000);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await sleep(Number(options["idle-seconds"]) * 1_000);
  told(`requests while idle, ${options["idle-seconds"]} s`, asked.length, 0, "", asked[0] ?? "");
  await context.close();
}

const works = { load, rowOpen, bigMessage, scroll, idle, tail };
try {
  await server.start();
  const data = new Data(RECORDS, Date.now() - 60_000);
  for (let from = 0; from < RECORDS; from += 10_000) await server.send(STREAM, data.lines(from, from + 10_000));
  browser = await launch();
  pages = options.dist ? await distOver(server.base) : server.base;
  console.log(`${RECORDS} records, Chromium ${browser.version()}, load ${loadavg()[0].toFixed(1)} on ${availableParallelism()} cores`);
  if (loadavg()[0] > availableParallelism()) console.log("others work on this machine: wall times are too long by that");
  for (const [name, work] of Object.entries(works)) if (!options.only || options.only.split(",").includes(name)) await work();
} finally {
  await browser?.close();
  await server.remove();
  await closeVites();
}
const missed = rows.filter((row) => row.isMissed);
console.log(missed.length === 0 ? `all ${rows.length} within their budgets` : `${missed.length} of ${rows.length} missed`);
if (missed.length > 0) process.exit(1);
