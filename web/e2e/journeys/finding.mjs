// Finding: search, histogram, facets, the query box, jumping and finding in the list, giving up.
import assert from "node:assert/strict";
import { LEVELS, SOURCES } from "../data.mjs";
import { logsOf, rangeOf, recordsOf, span } from "./window.mjs";

const isErrorOfGateway = ({ level, source }) => level === 4 && source === 0;

async function search({ admin, data }) {
  const one = await admin();
  const all = span(data, 0, 1);
  await one.logs(logsOf(all));
  assert.equal(await one.total(), data.count);
  assert.equal(await one.bars(), data.count);
  await one.search('level:error source:mcp-gw "failed"');
  const found = data.latest(isErrorOfGateway, Infinity);
  assert.equal(await one.total(), found.length);
  assert.equal(await one.bars(), found.length);
  assert.deepEqual((await one.calls()).slice(0, 30), found.slice(0, 30));
  assert.ok((await one.rows.locator("mark").allInnerTexts()).every((text) => text === "failed"));
  await one.sees(one.rows.first().getByText("ERROR"));

  // The list goes on where the first page ends.
  await one.grid.focus();
  await one.press("End");
  await one.until("the next page is there", async () => {
    await one.press("End");
    return Number(await one.rows.last().getAttribute("aria-rowindex")) > Math.min(400, found.length);
  });
  const calls = await one.calls();
  const at = found.indexOf(calls[0]);
  assert.deepEqual(calls, found.slice(at, at + calls.length), "no gap and no double where pages meet");
  assert.ok((await one.rows.count()) <= 120);
}

async function brush({ admin, data }) {
  const one = await admin();
  const before = span(data, 0.3, 0.4);
  await one.logs(logsOf(before));
  const box = await one.page.locator(".u-over").boundingBox();
  await one.page.mouse.move(box.x + box.width * 0.25, box.y + 20);
  await one.page.mouse.down();
  await one.page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 5 });
  await one.page.mouse.up();
  await one.addressBecomes("a shorter range", ({ from }) => Date.parse(from) > before.start);
  await one.settled();
  const first = rangeOf(one.address);
  const length = before.end - before.start;
  assert.ok(Math.abs(first.start - before.start - length * 0.25) < length * 0.02);
  assert.ok(Math.abs(first.end - before.start - length * 0.5) < length * 0.02);
  const holds = recordsOf(data, first.start, first.end);
  assert.equal(await one.total(), holds.behind - holds.first);
  assert.equal(await one.bars(), await one.total());

  // By keys: five buckets from the middle one on.
  const chart = one.page.getByRole("slider", { name: /^Records by time/ });
  await chart.focus();
  await one.press("Home", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Enter");
  await one.addressBecomes("a still shorter range", ({ from }) => Date.parse(from) > first.start);
  await one.settled();
  const second = rangeOf(one.address);
  assert.ok(second.end - second.start < (first.end - first.start) / 4);
  const narrow = recordsOf(data, second.start, second.end);
  assert.equal(await one.total(), narrow.behind - narrow.first);

  await one.page.goBack();
  await one.settled();
  assert.deepEqual(rangeOf(one.address), first);
  await one.page.goBack();
  await one.settled();
  assert.equal(await one.total(), before.behind - before.first);
  await one.page.goForward();
  await one.settled();
  assert.deepEqual(rangeOf(one.address), first);
}

async function facets({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.6, 0.65);
  const count = (holds) => data.countOf(holds, there.first, there.behind);
  await one.logs(logsOf(there));
  const shown = await one.facetCounts("source");
  for (const [at, source] of SOURCES.entries()) assert.equal(shown.get(source), count((facts) => facts.source === at), source);
  const entry = (field, value) => one.facet(field).locator("li", { hasText: value });

  await entry("source", "mcp-gw").getByRole("checkbox").check({ force: true });
  await one.addressBecomes("the source", ({ q }) => q === 'source:="mcp-gw"');
  await one.settled();
  assert.equal(await one.total(), count(({ source }) => source === 0));

  await entry("level", "INFO").hover();
  await entry("level", "INFO").getByRole("button", { name: "not" }).click();
  await one.addressBecomes("the excluded level", ({ q }) => q === 'source:="mcp-gw" -level:info');
  await one.settled();
  assert.equal(await one.total(), count(({ source, level }) => source === 0 && level !== 2));
  assert.ok(!(await one.facetCounts("level")).has("INFO"));

  await entry("level", "ERROR").hover();
  await entry("level", "ERROR").getByRole("button", { name: "only" }).click();
  await one.addressBecomes("only errors", ({ q }) => q === 'source:="mcp-gw" level:error');
  await one.settled();
  assert.equal(await one.total(), count(isErrorOfGateway));

  // A field of one's own, and a value that is none of the first ten.
  await one.button("Add a field").click();
  await one.page.getByRole("combobox", { name: "Add a field" }).fill("tool.name");
  await one.page.getByRole("option", { name: /^tool\.name/ }).click();
  await one.sees(one.facet("tool.name"));
  await one.search("");
  const users = one.facet("user_id");
  await users.getByRole("button", { name: "Search in user_id" }).click();
  await users.getByRole("textbox").fill("u-23");
  await one.until("the one value", async () => (await one.facetCounts("user_id")).size === 1);
  assert.equal((await one.facetCounts("user_id")).get("u-23"), count(({ user }) => user === 23));

  // The chips of the histogram do the same.
  await one.page.locator(".chips button", { hasText: "WARN" }).click();
  await one.addressBecomes("the level", ({ q }) => q === "level:warn");
  await one.settled();
  assert.equal(await one.total(), count(({ level }) => level === 3));
}

async function fault({ admin, data }) {
  const one = await admin();
  one.expects(/400/);
  await one.logs(logsOf(span(data, 0.9, 0.91)));
  const text = "level:error status:[1 TO ";
  await one.query.click();
  await one.page.keyboard.insertText(text);
  await one.press("Escape");
  await one.button("Search").click();
  const told = one.page.locator(".fault[role=alert]");
  await one.sees(told);
  const [, from, to] = /characters (\d+)–(\d+)/.exec(await told.innerText()).map(Number);
  const marked = await one.page.locator(".cm-lintRange-error").allInnerTexts();
  assert.equal(marked.join(""), text.slice(from - 1, to).trimEnd() || text.slice(from - 1, to));
  assert.ok(from > "level:error ".length, "not the part that can be read");
  await one.sees("Nothing was searched");
  assert.equal(await one.rows.count(), 0, "never an empty result in place of a fault");
  await one.search("level:error");
  await one.sees(one.rows.first());
  assert.equal(await one.page.locator(".cm-lintRange-error").count(), 0);
}

async function autocomplete({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.9, 0.91);
  await one.logs(logsOf(there));
  const options = one.page.locator(".cm-tooltip-autocomplete li");
  await one.query.click();
  await one.page.keyboard.type("sou");
  await one.sees(options.filter({ hasText: "source" }).first());
  await options.filter({ hasText: "source" }).first().click();
  await one.sees(options.filter({ hasText: "billing" }).first());
  const billing = data.countOf(({ source }) => source === SOURCES.indexOf("billing"), there.first, there.behind);
  const detail = await options.filter({ hasText: "billing" }).locator(".cm-completionDetail").innerText();
  assert.ok(detail === String(billing) || detail === billing.toLocaleString("en-US") || detail === `${Math.trunc(billing / 100) / 10}k`, `${detail} for ${billing}`);
  await one.page.keyboard.type("bill");
  await one.until("billing alone", async () => (await options.count()) === 1);
  await one.press("Enter");
  await one.until("it is written", async () => /^source:=?"?billing"?$/.test((await one.query.innerText()).trim()));
  await one.press("Escape");
  await one.query.focus();
  await one.press("Enter");
  await one.settled();
  assert.equal(await one.total(), billing);
}

async function address({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.2, 0.22);
  await one.logs(logsOf(there, { q: "level:warn", scope: "app.*" }));
  await one.button("Wrap long lines").click();
  await one.button("Latest first").click();
  await one.settled();
  await one.button("Columns").click();
  await one.button("Add a column").click();
  await one.page.getByRole("combobox", { name: "Add a column" }).fill("duration");
  await one.page.getByRole("option", { name: /^duration_ms/ }).click();
  await one.addressBecomes("the column", ({ cols }) => cols === "ts,level,source,msg,duration_ms");
  await one.press("Escape");
  await one.settled();
  await one.rows.nth(2).click();
  await one.sees(one.tab("JSON"));
  const { row, ...rest } = one.address;
  assert.deepEqual(rest, {
    q: "level:warn", scope: "app.*", sort: "asc", wrap: "1", cols: "ts,level,source,msg,duration_ms",
    from: new Date(there.start).toISOString(), to: new Date(there.end).toISOString(),
  });
  assert.ok(row);
  const seen = await one.rowTexts();
  await one.page.reload();
  await one.settled();
  await one.sees(one.tab("JSON"));
  assert.deepEqual(await one.rowTexts(), seen);
  await one.page.goBack();
  await one.until("the panel is gone", async () => (await one.panel.count()) === 0);
  await one.page.goForward();
  await one.sees(one.panel);
  await one.search("level:error");
  await one.page.goBack();
  await one.addressBecomes("the query before", ({ q }) => q === "level:warn");
  await one.settled();
  await one.until("the editor shows it", async () => (await one.query.innerText()) === "level:warn");
}

async function jump({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.1, 0.5);
  await one.logs(logsOf(there));
  const jumpTo = async (moment) => {
    await one.press("g", "t");
    await one.page.getByLabel("Time", { exact: true }).fill(new Date(moment).toISOString().slice(0, 19).replace("T", " "));
    await one.button("Jump").click();
    await one.addressBecomes("the moment", ({ at }) => at === new Date(moment).toISOString());
    await one.settled();
  };
  const moment = Math.round((data.start + (data.end - data.start) * 0.3) / 1000) * 1000;
  await jumpTo(moment);
  const last = data.at(moment + 1) - 1;
  const activeCall = async () => Number(/call (\d+)/.exec(await one.page.locator(".row.active").innerText())?.[1]);
  await one.until("the record at the moment is marked", async () => (await activeCall()) === last);
  assert.equal(await one.total(), there.behind - there.first, "histogram and total stay those of the range");
  // What is in front of it is there too, without a gap.
  await one.until("records in front", async () => Math.max(...(await one.calls())) > last);
  await one.grid.focus();
  await one.press("Home");
  await one.until("a page in front", async () => Math.max(...(await one.calls())) >= last + 150);
  await one.until("the moment again, going down", async () => {
    const calls = await one.calls();
    assert.deepEqual(calls, calls.map((_, at) => calls[0] - at), "a list without gap or double");
    await one.press("PageDown");
    return calls.at(-1) < last - 30;
  });
  // A time outside of the range takes the range along.
  const outside = Math.round((data.start + (data.end - data.start) * 0.8) / 1000) * 1000;
  await jumpTo(outside);
  const range = rangeOf(one.address);
  assert.equal(range.end - range.start, there.end - there.start);
  assert.ok(range.start < outside && outside < range.end);
  await one.until("the record there", async () => (await activeCall()) === data.at(outside + 1) - 1);
}

async function findInList({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.7, 0.71);
  await one.logs(logsOf(there));
  const loaded = Array.from({ length: 200 }, (_, at) => there.behind - 1 - at);
  const hits = loaded.filter((call) => data.message(call, data.facts(call)).includes("github.search"));
  assert.ok(hits.length > 3);
  await one.press("ControlOrMeta+f");
  const box = one.page.getByLabel("Find in the loaded rows");
  await box.fill("GitHub.search");
  const said = one.page.getByRole("search", { name: "Find in the list" }).getByRole("status");
  await one.until("the count", async () => (await said.innerText()) === String(hits.length));
  const active = async () => Number(/call (\d+)/.exec(await one.page.locator(".row.active").innerText())?.[1]);
  await box.press("Enter");
  await one.until("the first", async () => (await active()) === hits[0]);
  await box.press("Enter");
  await one.until("the second", async () => (await active()) === hits[1]);
  assert.equal(await said.innerText(), `2 of ${hits.length}`);
  await box.press("Shift+Enter");
  await box.press("Shift+Enter");
  await one.until("round to the last one", async () => (await active()) === hits.at(-1));
  assert.ok((await one.rows.locator("mark").allInnerTexts()).every((text) => text === "github.search"));
  await box.press("Escape");
  await one.until("no marks", async () => (await one.rows.locator("mark").count()) === 0);
  await one.until("the list has the focus", () => one.grid.evaluate((grid) => grid === document.activeElement));
}

/** Answers of these routes are held until the returned function is called. */
async function hold(one, pattern) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await one.page.route(pattern, async (route) => {
    await held;
    await route.continue().catch(() => undefined);
  });
  return async () => {
    release();
    await one.page.unroute(pattern);
  };
}

async function slow({ admin, data }) {
  const one = await admin();
  one.expects(/ERR_ABORTED/);
  const there = span(data, 0.8, 0.85);
  await one.logs(logsOf(there));
  const before = await one.calls();
  const given = [];
  one.page.on("requestfailed", (request) => given.push(new URL(request.url()).pathname));
  const release = await hold(one, /\/api\/v1\/(search|histogram|facets)$/);
  await one.query.click();
  await one.page.keyboard.insertText("message:/(answered|failed).*call \\d+9$/");
  await one.press("Escape");
  await one.button("Search").click();
  const spinner = one.page.locator(".toolbar .spinner");
  await one.sees(spinner);
  assert.deepEqual(await one.calls(), before, "the old rows stay");
  assert.equal(await one.grid.getAttribute("aria-busy"), "true", "dimmed");
  await one.sees(spinner.getByText(/^[2-9] s$/));
  await spinner.getByRole("button", { name: "Cancel" }).click();
  await one.sees("the search was cancelled");
  await one.until("the request was given up", () => given.includes("/api/v1/search"));
  await release();
  // The query is still there, and can be asked again.
  await one.button("Try again", one.page.locator(".records")).click();
  await one.settled();
  const matches = (_, call) => /(answered|failed).*call \d+9$/.test(data.message(call, data.facts(call)));
  assert.equal(await one.total(), data.countOf(matches, there.first, there.behind));

  // A slow histogram alone: the list is there, the count is given up.
  const later = await hold(one, /\/api\/v1\/histogram$/);
  await one.query.click();
  await one.press("ControlOrMeta+A");
  await one.page.keyboard.insertText("level:error");
  await one.press("Escape");
  await one.button("Search").click();
  await one.sees(one.rows.first().getByText("ERROR"));
  const counting = one.page.locator(".histogram .spinner");
  await one.sees(counting.getByText(/^[2-9] s$/));
  await counting.getByRole("button", { name: "Cancel" }).click();
  await one.until("the count was given up", () => given.includes("/api/v1/histogram"));
  await later();
  await one.button("Count", one.page.locator(".histogram")).click();
  await one.settled();
  assert.equal(await one.total(), data.countOf(({ level }) => level === LEVELS.indexOf("error"), there.first, there.behind));
}

async function nothing({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.3, 0.31);
  // The query leaves nothing: its terms are dropped one at a time.
  await one.logs(logsOf(there, { q: "level:error nowhere level:error" }));
  await one.sees(one.page.getByRole("heading", { name: "No record matches" }));
  assert.equal(await one.total(), 0);
  assert.equal(await one.button("Without level:error").count(), 1);
  await one.button("Without nowhere").click();
  await one.addressBecomes("the rest", ({ q }) => q === "level:error level:error");
  await one.settled();
  assert.equal(await one.total(), data.countOf(({ level }) => level === 4, there.first, there.behind));
  // The time has nothing: the nearest record before and after it.
  const before = { start: data.start - 7_200_000, end: data.start - 3_600_000 };
  await one.logs(logsOf(before));
  await one.sees(one.page.getByRole("heading", { name: "No records in this time" }));
  await one.button(/^First after/).click();
  await one.settled();
  assert.ok((await one.calls()).includes(0) || (await one.total()) > 200, "around the first record");
  const { start, end } = rangeOf(one.address);
  assert.ok(start < data.start && data.start < end);
}

async function phone({ admin, data }) {
  const one = await admin({ width: 390, height: 844 });
  const there = span(data, 0.3, 0.31);
  await one.logs(logsOf(there));
  assert.equal(await one.total(), there.behind - there.first);
  const wider = () => one.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await wider(), 0, "the page is as wide as the screen");
  const call = (await one.calls())[2];
  await one.rows.nth(2).click();
  const dialog = one.page.getByRole("dialog", { name: "Record" });
  await one.sees(dialog.getByText(`call ${call}`).first());
  assert.equal(await wider(), 0);
  await dialog.getByRole("button", { name: "Close" }).click();
  await one.until("closed", async () => (await dialog.count()) === 0);
  assert.equal(one.address.row, undefined);
  await one.page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "My instances" }).click();
  await one.sees(one.page.getByLabel("Find an instance"));
  assert.equal(await wider(), 0);
}

export const journeys = {
  "search, with total, bars and rows as made": search,
  "brush the histogram by mouse and by keys": brush,
  "facets: include, exclude, only, search, pin": facets,
  "a faulty query marks its characters": fault,
  "the query box offers fields and counted values": autocomplete,
  "the address holds everything, back and forward": address,
  "jump to a time": jump,
  "find in the list": findInList,
  "a slow query says how long and can be cancelled": slow,
  "an empty list says why and what helps": nothing,
  "on a phone of 390 px": phone,
};
