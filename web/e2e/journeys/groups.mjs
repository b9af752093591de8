// Values of groups in a table: to filter by them, by mouse and by keyboard, as facets do.
import assert from "node:assert/strict";
import { SOURCES } from "../data.mjs";
import { cells, hasFocus, table } from "./tables.mjs";
import { logsOf, span } from "./window.mjs";

const menu = (one) => one.page.getByRole("menu");
const choose = (one, name) => menu(one).getByRole("menuitem", { name }).click();

async function byMouse({ admin, data }) {
  const one = await admin();
  const pipes = "| stats count() by source, level";
  await one.logs(logsOf(span(data, 0.2, 0.25), { q: `* ${pipes}` }));
  const becomes = (filter) => one.addressBecomes(filter, ({ q }) => q === `${filter} ${pipes}`.trim());
  const source = SOURCES[3];
  const value = () => table(one).getByRole("button", { name: source, exact: true }).first();

  await value().click();
  await one.sees(menu(one).getByText(`source: ${source}`));
  await choose(one, /^Include/);
  await becomes(`source:="${source}"`);
  await one.settled();
  assert.ok((await cells(one)).every(([name]) => name === source));
  const rows = (await cells(one)).length;
  assert.ok(rows > 1);

  // What is included is taken out again; what is excluded is not there.
  await value().click();
  await choose(one, /^No longer include/);
  await becomes("");
  await one.settled();
  await value().click();
  await choose(one, /^Exclude/);
  await becomes(`-source:="${source}"`);
  await one.settled();
  assert.ok((await cells(one)).every(([name]) => name !== source));

  // "Only" leaves nothing else of the field, and other fields as they are.
  await table(one).getByRole("button", { name: "ERROR", exact: true }).first().click();
  await choose(one, /^Include/);
  await becomes(`-source:="${source}" level:error`);
  await one.settled();
  await table(one).getByRole("button", { name: SOURCES[1], exact: true }).first().click();
  await choose(one, "Only this value");
  await becomes(`level:error source:="${SOURCES[1]}"`);
  await one.settled();
  assert.deepEqual((await cells(one)).map(([name, level]) => [name, level]), [[SOURCES[1], "ERROR"]]);

  await table(one).getByRole("button", { name: SOURCES[1], exact: true }).click();
  await choose(one, "Copy the value");
  await one.sees("Value copied");
  assert.equal(await one.clipboard(), SOURCES[1]);
}

async function byKeys({ admin, data }) {
  const one = await admin();
  const pipes = "| stats count() by source | sort source";
  await one.logs(logsOf(span(data, 0.2, 0.25), { q: `* ${pipes}` }));
  const sources = [...SOURCES].sort();
  const becomes = (filter) => one.addressBecomes(filter, ({ q }) => q === `${filter} ${pipes}`.trim());

  // One stop of the tabulator; arrows move among the rows.
  await one.page.getByRole("group", { name: "Table" }).focus();
  for (let at = 0; at < 4; at += 1) await one.press("Tab");
  await hasFocus(one, sources[0]);
  await one.press("ArrowDown", "ArrowDown");
  await hasFocus(one, sources[2]);
  await one.press("End");
  await hasFocus(one, sources.at(-1));
  await one.press("Home", "ArrowDown");
  await hasFocus(one, sources[1]);
  await one.press("Enter");
  await one.sees(menu(one));
  await one.press("Escape");
  await one.until("the menu is closed", async () => (await menu(one).count()) === 0);
  await hasFocus(one, sources[1]);
  await one.press("Enter");
  await one.sees(menu(one));
  await one.press("ArrowDown", "Enter");
  await becomes(`-source:="${sources[1]}"`);
  await one.settled();
  assert.deepEqual((await cells(one)).map(([name]) => name), sources.toSpliced(1, 1));
  // The row has gone: the one in its place has the focus. i and x do it without the menu.
  await hasFocus(one, sources[2]);
  await one.press("i");
  await becomes(`-source:="${sources[1]}" source:="${sources[2]}"`);
  await one.settled();
  await hasFocus(one, sources[2]);
  await one.press("x");
  await becomes(`-source:="${sources[1]}" -source:="${sources[2]}"`);
}

async function others({ admin, data }) {
  const one = await admin();
  const within = span(data, 0.2, 0.25);
  // Records without the field are a group too.
  await one.logs(logsOf(within, { q: "* | stats count() by nothing_like_this" }));
  await table(one).getByRole("button", { name: "–", exact: true }).click();
  await one.sees(menu(one).getByText("nothing_like_this: none"));
  await choose(one, "Only without the field");
  await one.addressBecomes("records without it", ({ q }) => q === "-_exists_:nothing_like_this | stats count() by nothing_like_this");
  // The values that `top` counts, and those of a timechart; times and numbers are no groups.
  await one.logs(logsOf(within, { q: "* | top 2 http.status" }));
  const [[status]] = await cells(one);
  assert.equal(await table(one).locator("tbody button").count(), 2);
  await table(one).getByRole("button", { name: status, exact: true }).click();
  await choose(one, /^Include/);
  await one.addressBecomes("the status", ({ q }) => q === `http.status:${status} | top 2 http.status`);
  await one.settled();
  assert.equal((await cells(one)).length, 1);
  await one.logs(logsOf(within, { q: "* | timechart 1h count() by logger" }));
  const rows = await cells(one);
  assert.equal(await table(one).locator("tbody button").count(), rows.length);
  await table(one).getByRole("button", { name: rows[0][1], exact: true }).first().hover();
  await one.press("x");
  await one.addressBecomes("without the logger", ({ q }) => q === `-logger:="${rows[0][1]}" | timechart 1h count() by logger`);
}

export const journeys = {
  "groups of a table as filters": byMouse,
  "groups of a table by keyboard": byKeys,
  "groups of records without the field, of top and timechart": others,
};
