// One record: fields, JSON, context, trace, copies.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { LEVELS, SOURCES, TRACE_RECORDS, traceId, userId } from "../data.mjs";
import { logsOf, span } from "./window.mjs";

const run = promisify(execFile);

/** A person who has opened a record in the middle of the first screen. */
async function opened({ admin, data }, more = {}) {
  const one = await admin();
  await one.logs(logsOf(span(data, 0.45, 0.47), more));
  const row = one.rows.nth(6);
  const call = (await one.calls())[6];
  await row.click();
  await one.sees(one.panel.getByText(`call ${call}`).first());
  return { one, call, facts: data.facts(call) };
}

async function open(world) {
  const { one, call, facts } = await opened(world);
  const field = (name) => one.panel.locator("tr", { has: one.page.getByRole("rowheader", { name, exact: true }) });
  const value = (name) => field(name).locator("td.mono").innerText();
  assert.equal(await value("user_id"), userId(facts.user));
  assert.equal(await value("number"), String(call));
  assert.equal(await value("source"), SOURCES[facts.source]);
  assert.ok((await one.panel.locator("h2.title").innerText()).startsWith(LEVELS[facts.level].toUpperCase()));
  const iso = new Date(world.data.time(call)).toISOString();
  assert.ok((await one.panel.locator("h2.title time").innerText()).startsWith(iso.slice(0, 19).replace("T", " ")));

  // Selecting text opens nothing and closes nothing.
  const box = await one.rows.nth(9).locator(".message").boundingBox();
  await one.page.mouse.move(box.x + 2, box.y + 8);
  await one.page.mouse.down();
  await one.page.mouse.move(box.x + 160, box.y + 8, { steps: 4 });
  await one.page.mouse.up();
  assert.ok((await one.page.evaluate(() => getSelection().toString())).length > 3);
  await one.sees(one.panel.getByText(`call ${call}`).first());
  await one.page.evaluate(() => getSelection().removeAllRanges());

  // Values: include and exclude, as a column, follow.
  await field("user_id").hover();
  await field("user_id").getByRole("button", { name: "Include" }).click();
  await one.addressBecomes("the user", ({ q }) => q === `user_id:="${userId(facts.user)}"`);
  await field("user_id").getByRole("button", { name: "Exclude" }).click();
  await one.addressBecomes("all but the user", ({ q }) => q === `-user_id:="${userId(facts.user)}"`);
  await one.settled();
  const there = span(world.data, 0.45, 0.47);
  assert.equal(await one.total(), world.data.countOf(({ user }) => user !== facts.user, there.first, there.behind));
  await one.button("More for duration_ms").click();
  await one.page.getByRole("menuitem", { name: "Add as a column" }).click();
  await one.sees(one.page.getByRole("columnheader", { name: "duration" }));

  // Over the page, and back: the focus is where it was.
  await one.press("Escape");
  await one.until("the panel is closed", async () => (await one.panel.count()) === 0);
  await one.press("j", "Shift+Enter");
  const dialog = one.page.getByRole("dialog", { name: "Record" });
  await one.sees(dialog.getByRole("tab", { name: "Fields" }));
  await one.press("Escape");
  await one.until("the dialog is closed", async () => (await dialog.count()) === 0);
}

async function json(world) {
  const { one, call, facts } = await opened(world);
  await one.tab("JSON").click();
  const tree = one.page.getByRole("tree");
  await one.sees(tree);
  const line = (name) => tree.getByRole("treeitem").filter({ hasText: new RegExp(`^\\s*${name}\\s*:`) });
  assert.match(await line("number").innerText(), new RegExp(`${call}$`));
  // `http.status` came nested and is shown nested.
  await one.sees(line("http"));
  assert.match(await line("status").innerText(), new RegExp(`${facts.status}$`));
  await line("http").getByRole("button", { name: "Fold" }).click();
  await one.until("folded", async () => (await line("status").count()) === 0);
  assert.match(await line("http").innerText(), /2 fields/);
  await line("http").getByRole("button", { name: "Unfold" }).click();
  await one.sees(line("status"));
  await one.page.getByRole("switch", { name: "Nest names with dots" }).click();
  await one.sees(line("http.status"));
}

async function context(world) {
  const { one, call } = await opened(world, { q: "level:error" });
  await one.press("c");
  const list = one.page.getByRole("list", { name: "Records around this one" });
  await one.sees(list);
  const around = async () => (await list.getByRole("listitem").allInnerTexts()).map((text) => Number(/call (\d+)/.exec(text)[1]));
  const numbers = (before, after) => Array.from({ length: before + after + 1 }, (_, at) => call - before + at);
  assert.deepEqual(await around(), numbers(10, 10), "of all levels, whatever the query says");
  await one.button("20 more before").click();
  await one.until("more before", async () => (await around()).length === 41);
  assert.deepEqual(await around(), numbers(30, 10));
  await one.button("20 more after").click();
  await one.until("more after", async () => (await around()).length === 61);
  assert.deepEqual(await around(), numbers(30, 30));
  const { source } = world.data.facts(call);
  await one.page.getByLabel(`Only ${SOURCES[source]}`).check({ force: true });
  const isOf = (at) => world.data.facts(at).source === source;
  await one.until("of the source alone", async () => (await around()).every(isOf));
  const near = await around();
  assert.equal(near.length, 61);
  assert.deepEqual(near, Array.from({ length: near.at(-1) - near[0] + 1 }, (_, at) => near[0] + at).filter(isOf));
  // A neighbour opens in place.
  await list.getByRole("button").nth(5).click();
  await one.sees(one.panel.locator(".message").getByText(`call ${near[5]}`));
}

async function trace(world) {
  const { one, call, facts } = await opened(world);
  await one.tab("Trace").click();
  const list = one.page.getByRole("list", { name: "Records of the trace" });
  await one.sees(list);
  const expected = Array.from({ length: TRACE_RECORDS }, (_, at) => Math.floor(facts.trace / 4) * 4 * TRACE_RECORDS + (facts.trace % 4) + 4 * at);
  assert.ok(expected.includes(call));
  const texts = await list.getByRole("listitem").allInnerTexts();
  assert.deepEqual(texts.map((text) => Number(/call (\d+)/.exec(text)[1])), expected);
  await one.sees(one.panel.getByText(`${TRACE_RECORDS} records`));
  assert.equal(await list.locator("[aria-current=true]").count(), 1);
  // Followed from a range that does not hold it.
  const id = one.address.row;
  await one.logs(logsOf(span(world.data, 0.1, 0.11), { row: id }));
  await one.tab("Trace").click();
  await one.button("Show in the list").click();
  await one.addressBecomes("the trace", ({ q }) => q === `trace_id:="${traceId(facts.trace)}"`);
  await one.settled();
  assert.deepEqual(await one.calls(), expected.toReversed());
}

async function copies(world) {
  const { one, call, facts } = await opened(world);
  const copied = async (name, said) => {
    await one.button("Copy", one.panel).click();
    await one.page.getByRole("menuitem", { name: new RegExp(`^${name}\\b(?! at)`) }).click();
    await one.sees(one.page.getByRole("log").getByText(said).last());
    await one.button("Close the message").first().click();
    return one.clipboard();
  };
  assert.equal(await copied("Message", "Message copied"), world.data.message(call, facts));
  const asJson = JSON.parse(await copied("JSON", "JSON copied"));
  assert.equal(asJson.number, call);
  assert.equal(asJson.trace_id, traceId(facts.trace));
  const link = await copied("Link", "Link copied");
  assert.equal(new URL(link).searchParams.get("row"), asJson.id);
  // The command is one that works.
  const command = await copied("cURL", "cURL command copied");
  assert.ok(command.includes("$TAFFRAIL_TOKEN"), "a placeholder for the token");
  const { stdout } = await run("sh", ["-c", `${command} --silent --fail`], {
    env: { PATH: process.env.PATH, TAFFRAIL_TOKEN: world.server.key },
  });
  assert.equal(JSON.parse(stdout).data.number, call);
}

export const journeys = {
  "open a record, use its values": open,
  "a record as a JSON tree": json,
  "context of a record, more of it": context,
  "trace of a record, followed in the list": trace,
  "copy as message, JSON, link, cURL": copies,
};
