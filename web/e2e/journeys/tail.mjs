// The live tail: what is sent is shown once, paused and counted, and not lost over a break.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { STREAM } from "../data.mjs";

/** Records with a mark and a number, in order. */
export function numbered(mark, from, to) {
  return Array.from({ length: to - from }, (_, at) => ({ level: "info", source: "tail", message: `${mark} n${from + at}.` }));
}

export const numbersIn = (texts) => texts.map((text) => Number(/ n(\d+)\./.exec(text)[1]));
export const counting = (from, to) => Array.from({ length: to - from }, (_, at) => from + at);

/** Every row of the list from its first to its last, by scrolling through it. */
export async function allNumbers(one) {
  const texts = await one.grid.evaluate(async (grid) => {
    const found = new Map();
    const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    for (let top = 0; ; top += grid.clientHeight * 0.8) {
      grid.scrollTop = top;
      await drawn();
      for (const row of grid.querySelectorAll(".row")) found.set(Number(row.getAttribute("aria-rowindex")), row.textContent);
      if (top >= grid.scrollHeight) break;
    }
    return [...found].sort(([a], [b]) => a - b).map(([, text]) => text);
  });
  assert.equal(texts.length, Number(await one.grid.getAttribute("aria-rowcount")) - 1);
  return numbersIn(texts);
}

async function pauseAndResume({ admin, server }) {
  const mark = `tail${Date.now()}`;
  await server.send(STREAM, numbered(mark, 0, 5));
  const one = await admin();
  await one.logs(`/logs?q=${mark}`);
  await one.button("Live").click();
  await one.sees(one.grid.getByText(" n4.").first());
  assert.equal(one.address.live, "1");
  assert.deepEqual(numbersIn(await one.rowTexts()), counting(0, 5));
  await server.send(STREAM, numbered(mark, 5, 12));
  await one.sees(one.grid.getByText(" n11.").first());

  await one.press("Space");
  const paused = one.page.locator(".paused");
  await one.sees(paused.getByText("Paused"));
  for (let from = 12; from < 412; from += 100) await server.send(STREAM, numbered(mark, from, from + 100));
  await one.sees(paused.getByText("400 new"));
  assert.equal(await one.grid.getByText(" n12.").count(), 0, "nothing moves while it is paused");
  // The query is edited while it is live.
  await one.query.click();
  await one.page.keyboard.insertText(" extra");
  await one.press("Escape");
  await one.sees(paused.getByText("400 new"));
  await one.press("Escape");
  await paused.getByRole("button", { name: /^Resume/ }).click();
  await one.until("the pause is over", async () => (await paused.count()) === 0);
  await one.sees(one.grid.getByText(" n411.").first());
  await one.press("Escape");

  // Scrolling up pauses by itself.
  const box = await one.grid.boundingBox();
  await one.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await one.page.mouse.wheel(0, -2_000);
  await one.sees(paused.getByText("Paused"));
  await server.send(STREAM, numbered(mark, 412, 420));
  await one.sees(paused.getByText("8 new"));
  await paused.getByRole("button", { name: /^Resume/ }).click();
  await one.sees(one.grid.getByText(" n419.").first());
  assert.deepEqual(await allNumbers(one), counting(0, 420), "each once and in order");
}

async function manyAtOnce({ admin, server }) {
  const mark = `burst${Date.now()}`;
  const one = await admin();
  await one.go(`/logs?live=1&q=${mark}`);
  await one.sees("Waiting for records");
  const sent = 2_000;
  for (let from = 0; from < sent; from += 500) await server.send(STREAM, numbered(mark, from, from + 500));
  await one.sees(one.grid.getByText(` n${sent - 1}.`).first());
  await one.sees(`${sent.toLocaleString("en-US")} records`);
  assert.ok((await one.rows.count()) <= 120);
  await one.press("Space");
  assert.deepEqual(await allNumbers(one), counting(0, sent));
}

async function dropped({ admin, server }) {
  const mark = `dropped${Date.now()}`;
  const one = await admin();
  // What the server says to a client that does not keep up, said to this one.
  let say;
  await one.page.routeWebSocket(/\/ws\/logs/, (socket) => {
    const real = socket.connectToServer();
    real.onMessage((message) => socket.send(message));
    say = (message) => socket.send(JSON.stringify(message));
  });
  await one.go(`/logs?live=1&q=${mark}`);
  await one.sees("Waiting for records");
  await server.send(STREAM, numbered(mark, 0, 1));
  await one.sees(one.grid.getByText(" n0.").first());
  say({ type: "dropped", count: 1_000 });
  say({ type: "dropped", count: 234 });
  await one.sees("1,234 dropped: the page was too slow");
}

/** Records that the server lets a client be behind (`LAG_POSITIONS_MAX` in crates/engine/src/live.rs). */
const LAG_RECORDS = 200_000;
/** More than the buffers of the connections on the way hold, those of the kernel included. */
const STALLED_RECORDS = 6_000;
const STALLED_BYTES = 4_000;

/** A way to the server on which live tails can be made to stand still: nothing is read from them, nothing is lost. */
async function stallingWay(server) {
  const to = new URL(server.base);
  const tails = new Set();
  let isStalled = false;
  const listener = createServer((near) => {
    const far = connect(Number(to.port), to.hostname);
    const end = () => [near, far].forEach((one) => one.destroy());
    for (const one of [near, far]) one.on("error", end).on("close", end);
    near.once("data", (head) => {
      const isTail = head.toString("latin1").startsWith("GET /ws/");
      const back = { stall: () => far.unpipe(near).pause(), goOn: () => far.pipe(near) };
      if (isTail) tails.add(back);
      far.on("close", () => tails.delete(back));
      far.write(head);
      near.pipe(far);
      if (isTail && isStalled) back.stall();
      else back.goOn();
    });
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    server: { base: `http://127.0.0.1:${listener.address().port}` },
    stall() {
      isStalled = true;
      for (const tail of tails) tail.stall();
    },
    goOn() {
      isStalled = false;
      for (const tail of tails) tail.goOn();
    },
    close: () => listener.close(),
  };
}

async function stalled({ admin, server }) {
  const way = await stallingWay(server);
  try {
    const mark = `stalled${Date.now()}`;
    const one = await admin({ server: way.server });
    // A tail that says nothing for long is taken for dead, and another one begins behind its cursor.
    one.expects(/WebSocket/);
    await one.go(`/logs?live=1&q=${mark}`);
    await one.sees("Waiting for records");
    await server.send(STREAM, numbered(mark, 0, 1));
    await one.sees(one.grid.getByText(" n0.").first());
    way.stall();
    const padding = " ".padEnd(STALLED_BYTES, "0123456789abcdef ");
    for (let from = 1; from < STALLED_RECORDS; from += 500) {
      const records = numbered(mark, from, Math.min(from + 500, STALLED_RECORDS));
      await server.send(STREAM, records.map((record) => ({ ...record, message: record.message + padding })));
    }
    // Others that nobody waits for, until the server gives up what it has not sent.
    const others = Array(10_000).fill('{"level":"info","source":"other","message":"m"}').join("\n");
    for (let more = 0; more <= LAG_RECORDS; more += 10_000) await server.send(STREAM, others);
    way.goOn();
    const lost = one.page.locator(".lost");
    await one.until("it says what was dropped", async () => (await lost.count()) > 0, 60_000);
    const numberOf = async (locator) => Number((await locator.innerText()).replaceAll(/\D/g, ""));
    const shown = () => numberOf(one.page.locator(".bar .muted").first());
    const dropped = () => numberOf(lost);
    await one.until("each is shown or counted", async () => (await shown()) + (await dropped()) === STALLED_RECORDS, 60_000);
    assert.match(await lost.innerText(), /^[\d,]+ dropped: the page was too slow$/);
    // The tail goes on, and what it shows is what came before the gap, and after it.
    await server.send(STREAM, numbered(mark, STALLED_RECORDS, STALLED_RECORDS + 1));
    await one.sees(one.grid.getByText(` n${STALLED_RECORDS}.`).first());
    await one.press("Space");
    const numbers = await allNumbers(one);
    assert.ok(numbers.every((number, at) => at === 0 || number > numbers[at - 1]), "each once and in order");
    assert.equal(numbers.length, STALLED_RECORDS + 1 - (await dropped()));
  } finally {
    way.close();
  }
}

async function brokenOff({ admin, server }) {
  const mark = `broken${Date.now()}`;
  const one = await admin();
  const sockets = [];
  await one.page.routeWebSocket(/\/ws\/logs/, (socket) => {
    const real = socket.connectToServer();
    sockets.push({ url: socket.url(), end: () => Promise.all([socket.close({ code: 1011, reason: "gone" }), real.close()]) });
  });
  await server.send(STREAM, numbered(mark, 0, 3));
  await one.go(`/logs?live=1&q=${mark}`);
  await one.sees(one.grid.getByText(" n2.").first());
  // Before a cursor has come: it begins anew. After one: it goes on behind it.
  await sockets.at(-1).end();
  await one.until("it comes back", () => sockets.length > 1);
  await server.send(STREAM, numbered(mark, 3, 6));
  await one.sees(one.grid.getByText(" n5.").first());
  await sockets.at(-1).end();
  await server.send(STREAM, numbered(mark, 6, 300));
  await one.until("it comes back", () => sockets.length > 2);
  await one.sees(one.grid.getByText(" n299.").first());
  assert.ok(new URL(sockets.at(-1).url).searchParams.has("cursor"));
  assert.deepEqual(await allNumbers(one), counting(0, 300));
}

async function refused({ admin }) {
  const one = await admin();
  one.expects(/400/, /WebSocket/);
  await one.go("/logs?live=1&q=level:error+(");
  await one.sees(one.page.locator(".fault[role=alert]"));
  await one.until("the fault is marked", async () => (await one.page.locator(".cm-lintRange-error").count()) > 0);
  assert.equal(await one.page.getByText("trying again").count(), 0);
}

/** Without motion the newest record is in sight just as well, and a record that is closed gives the focus back. */
async function withoutMotion({ admin, server }) {
  const mark = `still${Date.now()}`;
  await server.send(STREAM, numbered(mark, 0, 100));
  const one = await admin();
  await one.page.emulateMedia({ reducedMotion: "reduce" });
  await one.go(`/logs?live=1&q=${mark}`);
  const isLastSeen = (last) =>
    one.until(`n${last} is the last row that is seen`, () =>
      one.grid.evaluate((grid, text) => {
        const row = [...grid.querySelectorAll(".row")].at(-1);
        return row?.textContent.includes(text) === true && row.getBoundingClientRect().bottom <= grid.getBoundingClientRect().bottom + 1;
      }, ` n${last}.`),
    );
  await isLastSeen(99);
  for (const end of [200, 300]) {
    await server.send(STREAM, numbered(mark, end - 100, end));
    await isLastSeen(end - 1);
  }
  await one.grid.getByText(" n299.").first().click();
  await one.sees(one.panel.locator(".message").getByText(" n299."));
  await one.press("Escape");
  await one.until("the list has the focus", () => one.grid.evaluate((grid) => grid === document.activeElement));
}

export const journeys = {
  "tail with pause and resume": pauseAndResume,
  "tail without motion": withoutMotion,
  "tail of 2,000 records at once": manyAtOnce,
  "tail says what was dropped": dropped,
  "tail of a connection that stood still says how many records it missed": stalled,
  "tail resumes from its cursor when it breaks off": brokenOff,
  "tail with a faulty query says so": refused,
};
