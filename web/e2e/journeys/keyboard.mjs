// The keyboard map, key by key.
import assert from "node:assert/strict";
import { logsOf, rangeOf, span } from "./window.mjs";

async function keys({ admin, data }) {
  const one = await admin();
  const there = span(data, 0.3, 0.32);
  await one.logs(logsOf(there));
  const latest = there.behind - 1;
  const active = async () => Number(/call (\d+)/.exec(await one.page.locator(".row.active").innerText())?.[1]);
  const becomes = (what, call) => one.until(`${what} is active`, async () => (await one.page.locator(".row.active").count()) === 1 && (await active()) === call);
  const next = (from, step, levels) => {
    let at = from + step;
    while (!levels.includes(data.facts(at).level)) at += step;
    return at;
  };

  await one.press("j", "j", "j");
  await becomes("the third", latest - 2);
  await one.press("k");
  await becomes("the second", latest - 1);
  // The list has the latest first: the next one is the one before it in time.
  const error = next(latest - 1, -1, [4, 5]);
  await one.press("e");
  await becomes("the next error", error);
  const second = next(error, -1, [4, 5]);
  await one.press("e", "E");
  assert.notEqual(second, error);
  await becomes("the error before", error);
  const warn = next(error, -1, [3]);
  await one.press("w");
  await becomes("the next warning", warn);
  await one.press("w", "W");
  await becomes("the warning before", warn);

  await one.press("Enter");
  await one.sees(one.panel.locator(".message").getByText(`call ${warn}`));
  await one.press("j");
  await one.sees(one.panel.locator(".message").getByText(`call ${warn - 1}`));
  // i and x act on the value under the pointer.
  const user = one.panel.locator("tr", { has: one.page.getByRole("rowheader", { name: "user_id", exact: true }) });
  await user.hover();
  const term = `user_id:="${await user.locator("td.mono").innerText()}"`;
  await one.press("i");
  await one.addressBecomes("the included value", ({ q }) => q === term);
  await one.press("x");
  await one.addressBecomes("the excluded value", ({ q }) => q === `-${term}`);
  await one.press("c");
  await one.sees(one.page.getByRole("list", { name: "Records around this one" }));
  await one.press("y");
  await one.sees("Link copied");
  assert.equal(await one.clipboard(), one.page.url());
  await one.press("Escape");
  await one.until("closed", async () => (await one.panel.count()) === 0);
  await one.settled();

  const length = there.end - there.start;
  await one.press("[");
  await one.addressBecomes("an earlier range", ({ from }) => Date.parse(from) === there.start - length / 2);
  await one.press("]");
  await one.addressBecomes("the range again", ({ from }) => Date.parse(from) === there.start);
  await one.press("+");
  await one.addressBecomes("half of it", ({ from }) => Date.parse(from) === there.start + length / 4);
  await one.press("-");
  await one.addressBecomes("the whole again", ({ from }) => Date.parse(from) === there.start);
  assert.deepEqual(rangeOf(one.address), { start: there.start, end: there.end });
  await one.settled();

  const theme = () => one.page.evaluate(() => document.documentElement.dataset.theme);
  const before = await theme();
  await one.press("t");
  await one.until("the other theme", async () => (await theme()) !== before);
  await one.press("t");
  await one.press("?");
  const help = one.page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await one.sees(help);
  await one.press("Escape");
  await one.until("help is closed", async () => (await help.count()) === 0);
  await one.press("g", "i");
  await one.sees(one.page.getByRole("heading", { name: "My instances" }));
  await one.press("g", "l");
  await one.settled();
  assert.equal(new URL(one.page.url()).pathname, "/logs");

  // Inert where text is typed.
  const address = one.page.url();
  await one.press("/");
  await one.until("the query has the focus", () => one.query.evaluate((box) => box === document.activeElement));
  const typed = "jkeEwWixcytgl?[]+-";
  await one.page.keyboard.type(typed);
  await one.press("Escape");
  // An open bracket is closed by no one here: what was typed is what stands there.
  assert.ok((await one.query.innerText()).endsWith(typed));
  assert.equal(one.page.url(), address);
  assert.equal(await theme(), before);
  assert.equal(await one.page.locator(".row.active").count(), 0);
  assert.equal(await help.count(), 0);

  // Switched off.
  await one.press("Escape");
  await one.grid.focus();
  await one.press("?");
  await help.getByRole("switch", { name: "Shortcuts of single keys" }).click();
  await one.press("Escape");
  await one.until("help is closed", async () => (await help.count()) === 0);
  await one.grid.focus();
  await one.press("t", "j");
  assert.equal(await theme(), before);
  assert.equal(await one.page.locator(".row.active").count(), 0);
  await one.press("ControlOrMeta+k");
  await one.sees(one.page.getByRole("dialog", { name: "Command palette" }));
}

async function palette({ admin, data }) {
  const one = await admin();
  await one.logs(logsOf(span(data, 0.3, 0.31)));
  await one.press("ControlOrMeta+k");
  await one.page.getByRole("combobox", { name: "Go to or do" }).fill("level:critical");
  await one.page.getByRole("option", { name: /Search the logs for/ }).click();
  await one.addressBecomes("the query", ({ q }) => q === "level:critical");
}

export const journeys = { "the keyboard map, and where it is inert": keys, "the command palette searches": palette };
