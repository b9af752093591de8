// What pipes make of the records: tables that sort, a chart of time, lists with chosen columns.
import assert from "node:assert/strict";
import { LEVELS, SOURCES } from "../data.mjs";
import { logsOf } from "./window.mjs";

/** Texts of the rows in the document, a list of cells each. */
const cells = (one) =>
  one.page.locator("table[aria-label='Answer of the query'] tbody tr:not(.space)").evaluateAll((rows) =>
    rows.map((row) => [...row.querySelectorAll("td:not(.rest)")].map((cell) => cell.textContent.trim())),
  );
const table = (one) => one.page.getByRole("table", { name: "Answer of the query" });
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
  // Scrolled to its end.
  const box = one.page.getByRole("group", { name: "Table" });
  await box.evaluate((element) => (element.scrollTop = element.scrollHeight));
  await one.sees(table(one).getByRole("cell", { name: thousands(latest.at(-1)), exact: true }));
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
  "pipes with a fault, without a record and live": faultsAndNothing,
};
