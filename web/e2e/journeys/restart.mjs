// The server goes and comes back under open pages.
import assert from "node:assert/strict";
import { STREAM } from "../data.mjs";
import { allNumbers, counting, numbered } from "./tail.mjs";
import { logsOf, span } from "./window.mjs";

async function restart({ admin, server, data }) {
  const mark = `restart${Date.now()}`;
  const listed = await admin();
  const live = await admin();
  for (const one of [listed, live]) one.expects(/ERR_|WebSocket|50\d/);
  const there = span(data, 0.5, 0.52);
  await listed.logs(logsOf(there));
  const before = await listed.calls();
  await server.send(STREAM, numbered(mark, 0, 50));
  await live.go(`/logs?live=1&q=${mark}`);
  await live.sees(live.grid.getByText(" n49.").first());
  await server.send(STREAM, numbered(mark, 50, 100));
  await live.sees(live.grid.getByText(" n99.").first());

  await server.stop();
  await live.sees("Not connected, trying again");
  await listed.button("Refresh").click();
  await listed.sees("The server cannot be reached.");
  await listed.sees(/What you see is from \d/);
  assert.deepEqual((await listed.calls()).slice(0, 20), before.slice(0, 20), "what was there stays");

  await server.start();
  await server.send(STREAM, numbered(mark, 100, 400));
  await listed.until("the bar goes", async () => (await listed.page.getByText("The server cannot be reached.").count()) === 0, 60_000);
  await listed.settled();
  assert.deepEqual(await listed.calls(), before);
  assert.equal(await listed.total(), there.behind - there.first);
  assert.equal(await listed.page.getByText("could not be loaded").count(), 0, "every panel has recovered by itself");
  await live.sees(live.grid.getByText(" n399.").first());
  await live.press("Space");
  assert.deepEqual(await allNumbers(live), counting(0, 400), "none lost and none doubled");
}

export const journeys = { "the server restarts under open pages": restart };
