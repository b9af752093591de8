// The sum of the bars is the total is the number of rows, while records come in.
import assert from "node:assert/strict";
import { LEVELS, LOGGERS, SOURCES, STREAM, TOOLS, USERS, userId } from "../data.mjs";
import { logsOf, span } from "./window.mjs";

const QUERIES = 200;
/** Of them so many are asked by the page itself. */
const ON_PAGE = 12;
const PAGE_RECORDS = 10_000;
/** Records that come in while it is asked: a batch after the other. */
const BATCH_RECORDS = 50;
const BATCH_EVERY_MS = 50;

/** Numbers that are the same in every run. */
function dice(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A random query, and what it means for a generated record. */
function question(roll) {
  const level = roll(LEVELS.length);
  const [source, logger, tool, user, limit] = [roll(SOURCES.length), roll(LOGGERS.length), roll(TOOLS.length), roll(USERS), roll(2000)];
  const parts = [
    ["", () => true],
    [`level:${LEVELS[level]}`, (f) => f.level === level],
    [`level>=${LEVELS[level]}`, (f) => f.level >= level],
    [`source:="${SOURCES[source]}"`, (f) => f.source === source],
    [`-source:="${SOURCES[source]}"`, (f) => f.source !== source],
    [`logger:${LOGGERS[logger]}`, (f) => f.logger === logger],
    [`(tool.name:="${TOOLS[tool]}" OR user_id:="${userId(user)}")`, (f) => f.tool === tool || f.user === user],
    [`duration_ms:>${limit}`, (f) => f.duration > limit],
    [`http.status:[400 TO 499] -level:${LEVELS[level]}`, (f) => f.status >= 400 && f.status <= 499 && f.level !== level],
    [`message:failed`, (f) => f.level >= 4],
  ];
  const picked = Array.from({ length: 1 + roll(3) }, () => parts[roll(parts.length)]);
  return { query: picked.map(([text]) => text).join(" ").trim(), holds: (facts) => picked.every(([, holds]) => holds(facts)) };
}

/** Sends a batch like the generated records, but of now. */
function batch(server, data) {
  const lines = Array.from({ length: BATCH_RECORDS }, (_, at) =>
    JSON.stringify({ ...JSON.parse(data.line(at)), timestamp: new Date().toISOString() }),
  );
  return server.send(STREAM, lines.join("\n"));
}

/** A batch every so often until it is stopped, which tells how many there were. */
function sending(server, data) {
  let [isOver, batches] = [false, 0];
  const work = (async () => {
    for (; !isOver; batches += 1) {
      await batch(server, data);
      await new Promise((resolve) => setTimeout(resolve, BATCH_EVERY_MS));
    }
    return batches;
  })();
  return { stop: () => ((isOver = true), work) };
}

const sumOf = (histogram) => histogram.series.reduce((sum, { points }) => sum + points.reduce((all, [, count]) => all + count, 0), 0);

async function rowsOf(server, body) {
  const ids = new Set();
  let rows = 0;
  let cursor = null;
  do {
    const page = await server.post("/api/v1/search", { ...body, limit: PAGE_RECORDS, count: false, fields: ["id"], cursor });
    rows += page.records.length;
    for (const { id } of page.records) ids.add(id);
    cursor = page.cursor;
  } while (cursor);
  assert.equal(ids.size, rows, "no record twice");
  return rows;
}

async function byApi({ server, data }) {
  const roll = dice(20_260_104);
  // At most a few thousand rows of the generated ones a query, so that all can be counted one by one.
  const width = Math.min(0.2, 5_000 / data.count);
  for (let at = 0; at < QUERIES; at += 1) {
    const { query, holds } = question(roll);
    const isOpen = at % 2 === 0;
    const from = isOpen ? 1 - width : (roll(1_000) / 1_000) * (1 - width);
    const there = span(data, from, isOpen ? 1 : from + width);
    const end = isOpen ? Date.now() + 60_000 : there.end;
    const asked = { query, start_time: new Date(there.start).toISOString(), end_time: new Date(end).toISOString(), streams: [STREAM] };
    // Records come in before, between and while it is asked.
    const [first] = await Promise.all([server.post("/api/v1/search", { ...asked, limit: 0 }), batch(server, data)]);
    const same = { ...asked, as_of: first.as_of };
    const [bars, facets, rows] = await Promise.all([
      server.post("/api/v1/histogram", { ...same, buckets: 10 + roll(200), by: "level" }),
      server.post("/api/v1/facets", { ...same, fields: ["level"], limit: 10 }),
      rowsOf(server, same),
      batch(server, data),
    ]);
    const levels = facets.facets[0].values.reduce((sum, { count }) => sum + count, 0);
    const told = { total: first.total, bars: bars.total, sum: sumOf(bars), levels, rows };
    assert.deepEqual(told, { total: rows, bars: rows, sum: rows, levels: rows, rows }, `${query} from ${asked.start_time} to ${asked.end_time}`);
    if (!isOpen) assert.equal(rows, data.countOf(holds, there.first, there.behind), query);
  }
}

async function byPage({ admin, server, data }) {
  const one = await admin();
  const roll = dice(7);
  const flood = sending(server, data);
  try {
    for (let at = 0; at < ON_PAGE; at += 1) {
      const { query } = question(roll);
      // Some reach to now, where records come in; the others lie among the generated ones.
      await one.logs(at % 2 === 0 ? `/logs?${new URLSearchParams({ from: "now-10s", q: query })}` : logsOf(span(data, at / 20, at / 20 + 0.004), { q: query }));
      const [total, bars] = [await one.total(), await one.bars()];
      assert.equal(bars, total, query);
      const levels = await one.facetCounts("level").catch(() => new Map());
      assert.equal([...levels.values()].reduce((sum, count) => sum + count, 0), total, query);
      // Rows as a screen reader is told: the number of all, and the one with the last of them.
      if (total > 0) assert.equal(Number(await one.grid.getAttribute("aria-rowcount")), total + 1, query);
      if (total > 0 && total < 2_000) {
        await one.grid.focus();
        const last = () => one.rows.last().getAttribute("aria-rowindex").then(Number);
        await one.until(`row ${total} of ${query}`, async () => (await one.press("End"), (await last()) === total + 1));
        await one.sees("End of the records");
      }
    }
  } finally {
    assert.ok((await flood.stop()) > ON_PAGE, "records came in meanwhile");
  }
}

export const journeys = {
  [`sum of bars = total = rows, on ${QUERIES} random queries`]: byApi,
  "the page adds up while records come in": byPage,
};
