// Who sees what: login, shared links, own records, instances.
import assert from "node:assert/strict";
import { cookiesOf } from "../browser.mjs";
import { STREAM, userId } from "../data.mjs";
import { ADMIN } from "../server.mjs";
import { logsOf, recent, span } from "./window.mjs";

const JANE = { name: "jane", password: "correct horse battery", user: 7 };

async function logIn({ enter, data, server }) {
  const one = await enter();
  one.expects(/401/);
  const { page } = one;
  const there = span(data, 0.9, 0.95);
  await one.go(logsOf(there, { q: "level:error" }));
  await page.getByLabel("Name").fill(ADMIN.name);
  await page.getByLabel("Password").fill("wrong");
  await one.button("Log in").click();
  await one.sees("Wrong name or password.");
  assert.equal(await page.getByLabel("Password").inputValue(), "", "the wrong password is taken away");
  await page.getByLabel("Password").fill(ADMIN.password);
  await one.button("Log in").click();
  await one.settled();
  assert.equal(one.address.q, "level:error", "the link opens what it says after the login");
  assert.equal(await one.total(), data.countOf(({ level }) => level === 4, there.first, there.behind));
  const [cookie] = await one.context.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict");

  await one.button(/^Account and appearance/).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await one.sees(page.getByRole("heading", { name: "Log in to Taffrail" }));
  const after = await fetch(`${server.base}/api/v1/sessions/current`, {
    headers: { cookie: `${cookie.name}=${cookie.value}` },
  });
  assert.equal(after.status, 401, "the cookie opens nothing any more");
}

async function endedSession({ browser, enter, server, data }) {
  const cookies = await cookiesOf(browser, server, ADMIN);
  const one = await enter({ cookies });
  one.expects(/401/);
  const there = span(data, 0.9, 0.91);
  await one.logs(logsOf(there, { q: "level:warn" }));
  const seen = await one.calls();
  const [{ name, value }] = cookies;
  const ended = await fetch(`${server.base}/api/v1/sessions/current`, {
    method: "DELETE",
    headers: { cookie: `${name}=${value}`, "X-Requested-With": "taffrail" },
  });
  assert.equal(ended.status, 204);
  await one.button("Refresh").click();
  await one.sees("Your session has ended.");
  assert.equal(await one.page.getByLabel("Name").inputValue(), ADMIN.name);
  await one.page.getByLabel("Password").fill(ADMIN.password);
  await one.button("Log in").click();
  await one.settled();
  assert.deepEqual(await one.calls(), seen, "where one was");
}

async function shareALink({ admin, data }) {
  const one = await admin();
  await one.logs(logsOf(span(data, 0.4, 0.42), { q: "level>=warn source:billing", cols: "ts,msg,duration_ms", wrap: "1" }));
  await one.rows.nth(3).click();
  await one.sees(one.tab("Fields"));
  await one.press("y");
  await one.sees("Link copied");
  const link = await one.clipboard();
  assert.ok(!/token|key|tfr_/i.test(link));

  const other = await admin();
  await other.logs(link);
  await other.sees(other.tab("Fields"));
  assert.deepEqual(await other.calls(), await one.calls());
  assert.equal(await other.total(), await one.total());
  assert.equal(await other.panel.locator(".message").innerText(), await one.panel.locator(".message").innerText());
  const heads = (person) => person.grid.getByRole("columnheader").allInnerTexts();
  assert.deepEqual(await heads(other), await heads(one));
  assert.equal((await heads(other)).length, 3);
}

async function shareThisMoment({ admin, server }) {
  const one = await admin();
  const mark = `moment${Date.now()}`;
  await server.send(STREAM, [{ message: `${mark} first` }]);
  await one.logs(recent({ q: mark }));
  await one.rows.first().click();
  await one.sees(one.tab("Fields"));
  await one.button("Copy", one.panel).click();
  await one.page.getByRole("menuitem", { name: "Link at this moment" }).click();
  await one.sees("Link copied");
  const frozen = new URL(await one.clipboard());
  assert.match(frozen.searchParams.get("to"), /^\d{4}-.*Z$/);
  const before = await one.rowTexts();
  await server.send(STREAM, [{ message: `${mark} second`, timestamp: new Date(Date.parse(frozen.searchParams.get("to")) + 1_000) }]);
  const other = await admin();
  await other.logs(frozen.href);
  assert.deepEqual(await other.rowTexts(), before);
}

async function ownRecordsOnly({ admin, enter, browser, server, data }) {
  await server.post("/api/v1/users", { name: JANE.name, password: JANE.password, own_user_ids: [userId(JANE.user)] });
  const there = span(data, 0.5, 0.55);
  const isHers = ({ user }) => user === JANE.user;
  const jane = await enter({ cookies: await cookiesOf(browser, server, JANE) });
  jane.expects(/404/);
  await jane.logs(logsOf(there));
  const hers = data.countOf(isHers, there.first, there.behind);
  assert.ok(hers > 0);
  assert.equal(await jane.total(), hers);
  assert.equal(await jane.bars(), hers);
  assert.deepEqual([...(await jane.facetCounts("user_id"))], [[userId(JANE.user), hers]]);
  const levels = await jane.facetCounts("level");
  assert.equal([...levels.values()].reduce((sum, count) => sum + count, 0), hers);
  const latest = data.latest(isHers, 20, there.first, there.behind);
  assert.deepEqual((await jane.calls()).slice(0, 20), latest.slice(0, 20));
  await jane.sees(jane.page.getByText("My instances").last());
  assert.equal(await jane.button(/^Scope/).count(), 0, "a fixed scope, not a choice");

  // A link to a record of somebody else.
  const [foreign] = data.latest(({ user }) => user !== JANE.user, 1, there.first, there.behind);
  const found = await server.post("/api/v1/search", { query: `number:${foreign}`, limit: 1, fields: ["id"] });
  await jane.go(logsOf(there, { row: found.records[0].id }));
  await jane.sees(jane.panel.getByText(/not found|no such/i).first());
  assert.equal(await jane.panel.getByText(`call ${foreign}`).count(), 0);

  // Nor does the tail show any.
  const mark = `mine${Date.now()}`;
  await jane.go(`/logs?live=1&q=${mark}`);
  await jane.sees("Waiting for records");
  const sent = Array.from({ length: 20 }, (_, at) => ({
    message: `${mark} ${at % 2 === 1 ? "hers" : "foreign"} ${at}`,
    user_id: userId(at % 2 === 1 ? JANE.user : 8),
  }));
  await server.send(STREAM, sent);
  await jane.sees(jane.grid.getByText(`hers 19`));
  assert.deepEqual((await jane.rowTexts()).map((text) => /hers (\d+)|foreign/.exec(text)[1]), ["1", "3", "5", "7", "9", "11", "13", "15", "17", "19"]);

  const boss = await admin();
  await boss.logs(logsOf(there));
  assert.equal(await boss.total(), there.behind - there.first, "an admin sees all of them");
}

async function instances({ admin, server }) {
  const id = `figma-${Date.now()}`;
  await server.post("/api/v1/mcps", { id, service: "figma", user_id: "u-31" });
  const of = (level) => ({ level, message: "from an instance", instance_id: id, user_id: "u-31" });
  await server.send("instance.app", [of("info"), of("info"), of("error")]);
  const one = await admin();
  await one.go("/instances?from=now-15m");
  await one.page.getByLabel("Find an instance").fill(id);
  const row = one.page.getByRole("row").filter({ hasText: id });
  await one.sees(row.getByText("3", { exact: true }));
  await one.sees(row.getByRole("link", { name: "1", exact: true }));
  await one.sees(row.getByText("active"));
  await row.getByRole("link", { name: id }).click();
  await one.settled();
  assert.equal(await one.total(), 3);
}

async function instancesOnAPhone({ admin, server }) {
  const id = `browser-automation-of-the-design-team-${Date.now()}`;
  await server.post("/api/v1/mcps", { id, service: "browser", user_id: "u-31" });
  const of = (level) => ({ level, message: "from an instance", instance_id: id, user_id: "u-31" });
  await server.send("instance.app", [of("info"), of("error"), of("error")]);
  const one = await admin({ width: 390, height: 844 });
  await one.go("/instances?from=now-15m");
  await one.page.getByLabel("Find an instance").fill(id);
  const row = one.page.getByRole("row").filter({ hasText: id });
  const errors = row.getByRole("link", { name: "2", exact: true });
  await one.sees(errors);
  const { x, width, height } = await errors.boundingBox();
  assert.ok(x >= 0 && x + width <= 390, `the errors lie at ${x} to ${x + width} of 390 px`);
  assert.ok(width >= 44 && height >= 44, `a finger finds them: ${width} × ${height}`);
  const table = one.page.getByRole("group", { name: "Instances" });
  assert.ok(await table.evaluate((box) => box.scrollWidth <= box.clientWidth), "nothing lies beside the page");
  for (const text of ["active", "browser", "u-31"]) await one.sees(row.getByText(text, { exact: true }));
  await errors.click();
  await one.settled();
  assert.equal(await one.total(), 2);
}

export const journeys = {
  "log in, with a wrong password first, and out": logIn,
  "a session that ends under an open page": endedSession,
  "a shared link shows another session the same": shareALink,
  "a link of this moment stays as it is": shareThisMoment,
  "a user sees their own records and no others": ownRecordsOnly,
  "my instances, with what they logged": instances,
  "my instances on a phone of 390 px": instancesOnAPhone,
};
