// What pipes make of the records: tables that sort, a chart of time, lists with chosen columns.
import assert from "node:assert/strict";
import { LEVELS, SOURCES, STREAM } from "../data.mjs";
import { logsOf } from "./window.mjs";

/** Texts of the rows in the document, a list of cells each. */
export const cells = (one) =>
  one.page.locator("table[aria-label='Answer of the query'] tbody tr:not(.space)").evaluateAll((rows) =>
    rows.map((row) => [...row.querySelectorAll("td:not(.rest)")].map((cell) => cell.textContent.trim())),
  );
export const table = (one) => one.page.getByRole("table", { name: "Answer of the query" });
const sortBy = (one, name) => table(one).getByRole("button", { name, exact: true }).click();
const thousands = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

async function countsBySource({ admin, data }) {
  const one = await admin();
  const query = "* | stats count(), count_if(level:error) as errors by source";
  await one.logs(logsOf(data, { q: query }));
  const counted = SOURCES.map((name, source) => ({ name, count: 0, errors: 0, source }));
  for (let i = 0; i < data.count; i += 1) {
    const { source, level } = data.facts(i);
    counted[source].count += 1;
    if (level === LEVELS.indexOf("error")) counted[source].errors += 1;
  }
  const byName = [...counted].sort((a, b) => (a.name < b.name ? -1 : 1));
  const expected = byName.map(({ name, count, errors }) => [name, thousands(count), thousands(errors)]);
  assert.deepEqual((await cells(one)).sort(), expected);
  assert.equal(await one.total(), SOURCES.length);
  await one.sees(`from ${thousands(data.count)} records`);
  // Bars and fields are of the records that the table was made of.
  assert.equal(await one.bars(), data.count);

  await sortBy(one, "errors");
  await one.addressBecomes("the order", ({ by }) => by === "-errors");
  assert.equal(await table(one).getByRole("columnheader", { name: "errors" }).getAttribute("aria-sort"), "descending");
  const errorsOf = (rows) => rows.map(([, , errors]) => Number(errors.replaceAll(",", "")));
  const falling = errorsOf(await cells(one));
  assert.deepEqual(falling, [...falling].sort((a, b) => b - a));
  await sortBy(one, "errors");
  await one.addressBecomes("the other order", ({ by }) => by === "errors");
  assert.deepEqual(errorsOf(await cells(one)), [...falling].reverse());
  await sortBy(one, "errors");
  await one.addressBecomes("no order", ({ by }) => by === undefined);
  await sortBy(one, "source");
  await one.addressBecomes("the order", ({ by }) => by === "source");

  // The address holds it, and the copy is as it is seen.
  const again = await admin();
  await again.logs(one.page.url());
  assert.deepEqual(await cells(again), expected);
  await again.button("Copy the table as CSV").click();
  const csv = (await again.clipboard()).trim().split("\r\n");
  assert.deepEqual(csv, ["source,count,errors", ...byName.map(({ name, count, errors }) => `${name},${count},${errors}`)]);

  // A field of the filter leaves the pipes as they are.
  await one.facet("level").getByRole("checkbox", { name: /error/i }).check({ force: true });
  await one.addressBecomes("the level", ({ q }) => q === `level:error | ${query.slice(4)}`);
  await one.settled();
  assert.ok((await cells(one)).every(([, count, errors]) => count === errors));
}

async function chartOfTime({ admin, data }) {
  const one = await admin();
  await one.logs(logsOf(data, { q: "level>=warn | timechart 10m count(), p95(duration_ms) by level" }));
  const chart = one.page.getByRole("region", { name: "Chart" });
  await one.sees(chart.locator("canvas"));
  const found = data.countOf(({ level }) => level >= 3);
  const sum = () =>
    chart.locator("figure table td").evaluateAll((all) => all.reduce((total, cell) => total + Number(cell.textContent), 0));
  await chart.locator("figure table").waitFor({ state: "attached" });
  assert.equal(await sum(), found, "the bars are the records");
  await chart.getByText("p95(duration_ms)").click();
  await one.until("lines take the place of bars", async () => (await sum()) !== found);
  assert.equal(await chart.locator("li").count(), 3);
}

async function listsOfRecords({ admin, data }) {
  const one = await admin();
  await one.logs(logsOf(data, { q: "level:error | sort timestamp | limit 20 | fields level, number, message" }));
  const first = [];
  for (let i = 0; first.length < 20; i += 1) if (data.facts(i).level === 4) first.push(["ERROR", thousands(i), data.message(i, data.facts(i))]);
  assert.deepEqual(await cells(one), first);

  // A record whose id is shown can be opened.
  await one.search("level:error | limit 5000 | fields id, number");
  const latest = data.latest(({ level }) => level === 4, 5_000);
  assert.equal(await one.total(), latest.length);
  assert.ok((await cells(one)).length < 120, "only the rows that are seen are in the document");
  const [[id, number]] = await cells(one);
  assert.equal(number, thousands(latest[0]));
  await one.button(id).click();
  await one.sees(one.panel.getByText(`call ${latest[0]}`).first());
  await one.press("Escape");
  await hasFocus(one, id);
  // So it is with a row further down, which was scrolled out of sight meanwhile.
  await one.press("End");
  const last = (await cells(one)).at(-1)[0];
  await hasFocus(one, last);
  await one.press("Enter");
  await one.sees(one.panel.getByText(`call ${latest.at(-1)}`).first());
  await one.page.getByRole("group", { name: "Table" }).evaluate((element) => (element.scrollTop = 0));
  await one.until("the first rows", async () => (await cells(one))[0][0] === id);
  await one.panel.getByRole("button", { name: "Close" }).click();
  await hasFocus(one, last);
  // Scrolled to its end.
  const box = one.page.getByRole("group", { name: "Table" });
  await box.evaluate((element) => (element.scrollTop = element.scrollHeight));
  await one.sees(table(one).getByRole("cell", { name: thousands(latest.at(-1)), exact: true }));
}

/** Waits until the focus is on what is called so. */
export const hasFocus = (one, name) => one.until(`the focus is on ${name}`, () => one.page.evaluate((text) => document.activeElement.textContent.trim() === text, name));

async function onPhone({ admin, data }) {
  const one = await admin({ width: 390, height: 844 });
  await one.logs(logsOf(data, { q: "level:critical | fields id, number" }));
  const ids = (await cells(one)).map(([id]) => id);
  await one.button(ids[2]).click();
  const dialog = one.page.getByRole("dialog", { name: "Record" });
  await one.sees(dialog);
  await dialog.getByRole("button", { name: "Close" }).click();
  await one.until("the dialog is closed", async () => (await dialog.count()) === 0);
  await hasFocus(one, ids[2]);
}

async function tableOfBefore({ admin, data }) {
  const one = await admin();
  const query = "* | timechart 30m count(), avg(duration_ms) by level";
  await one.logs(logsOf(data, { q: query, by: "-count" }));
  const before = await cells(one);
  const chart = one.page.getByRole("region", { name: "Chart" });
  await one.sees(chart.locator("canvas"));
  // The next answer takes its time.
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await one.page.route("**/api/v1/search", async (route) => {
    if ((route.request().postDataJSON().query ?? "").includes("| top")) await held;
    await route.continue().catch(() => undefined);
  });
  await one.query.click();
  await one.press("ControlOrMeta+A");
  await one.page.keyboard.insertText("level:error | top 3 source");
  await one.press("Escape");
  await one.button("Search").click();
  await one.addressBecomes("the next query", ({ q }) => q === "level:error | top 3 source");
  await one.sees(one.page.locator(".answer.stale"));
  assert.equal(await chart.locator("canvas").count(), 1, "what shows is still a chart");
  assert.deepEqual(await cells(one), before, "in its order");
  // It sorts without a word to the address, and is copied as it shows.
  await sortBy(one, "level");
  await one.until("sorted", async () => (await cells(one))[0][1] === "CRIT");
  assert.equal(one.address.by, "-count");
  await one.button("Copy the table as CSV").click();
  await one.until("copied", async () => (await one.clipboard()).startsWith("timestamp,level,count,avg(duration_ms)\r\n"));
  assert.match((await one.clipboard()).split("\r\n")[1], /,critical,/);
  // A press on one of its values is about its query.
  await one.button("CRIT").first().click();
  await one.page.getByRole("menuitem", { name: /^Include/ }).click();
  release();
  await one.addressBecomes("the query of the table", ({ q }) => q === query.replace("*", "level:critical"));
  await one.settled();
  assert.ok((await cells(one)).every(([, level]) => level === "CRIT"));
  await one.page.unroute("**/api/v1/search");
}

/** The hidden table of the chart, a list of cells each row; it comes a moment after the chart. */
const chartRows = async (chart) => (await chart.locator("figure table").waitFor({ state: "attached" }), chart.locator("figure tbody tr").evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent))));

async function linesBelowZero({ admin, server }) {
  const one = await admin();
  const mark = `below${Date.now()}`;
  const start = Math.floor(Date.now() / 10_000) * 10_000 - 60_000;
  const at = (bucket, gain) => ({ timestamp: new Date(start + bucket * 10_000 + 1_000).toISOString(), message: mark, gain });
  await server.send(STREAM, [at(0, -5), at(0, -7.5), at(1, 0), { ...at(2, 0), gain: undefined }, at(4, 3)]);
  const range = { start, end: start + 50_000 };
  const asked = async (pipe) => {
    await one.logs(logsOf(range, { q: `${mark} | timechart 10s ${pipe}` }));
    const chart = one.page.getByRole("region", { name: "Chart" });
    await one.sees(chart.locator("canvas"));
    return chart;
  };
  // Lines: zero is a value, a bucket without a number is none.
  const lines = await asked("min(gain)");
  assert.deepEqual(await chartRows(lines), [["-7.5"], ["0"], ["3"]]);
  const slider = lines.getByRole("slider");
  await slider.focus();
  const said = async () => (await slider.getAttribute("aria-valuetext")).replace(/^.*?: /, "");
  assert.equal(await said(), "min(gain) from -7.5 to 3.");
  const each = [];
  for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"]) {
    await one.press(key);
    each.push(await said());
  }
  assert.deepEqual(each, ["-7.5 min(gain)", "0 min(gain)", "none", "none", "3 min(gain)"]);
  await one.press("Home");
  assert.match(await lines.locator(".tip").innerText(), /min\(gain\)\s*-7\.5/);
  // Sums with one below zero are lines; counts are bars where records are.
  assert.deepEqual(await chartRows(await asked("sum(gain)")), [["-12.5"], ["0"], ["3"]]);
  assert.deepEqual(await chartRows(await asked("count()")), [["2"], ["1"], ["1"], ["1"]]);
  assert.deepEqual(await chartRows(await asked("count_if(gain>0)")), [["1"]]);
}

async function faultsAndNothing({ admin, data }) {
  const one = await admin();
  one.expects(/400/);
  await one.go(logsOf(data, { q: "* | stats cuont()" }));
  await one.sees(one.page.locator(".fault[role=alert]"));
  await one.until("the fault is marked", async () => (await one.page.locator(".cm-lintRange-error").allInnerTexts()).join("") === "cuont");
  await one.search("nothing_like_this | top source");
  await one.sees("No record matches");
  await one.search("nothing_like_this | stats count()");
  assert.deepEqual(await cells(one), [["0"]]);
  // Live, the records are shown, and it is said why there is no table.
  await one.button("Live").click();
  await one.sees("The tail shows the records that the query selects");
  await one.sees("Waiting for records");
}

export const journeys = {
  "a table of counts, sorted, copied and shared": countsBySource,
  "a timechart as a chart": chartOfTime,
  "records with chosen columns": listsOfRecords,
  "a record of a table on a phone": onPhone,
  "a table of the question before": tableOfBefore,
  "a timechart below zero, with gaps": linesBelowZero,
  "pipes with a fault, without a record and live": faultsAndNothing,
};
