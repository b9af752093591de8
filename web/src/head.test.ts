// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { takeFirstSearch, takeFirstSession } from "$api/first";
import { parseLogs } from "$lib/state/url";
import { columnsOf } from "./routes/logs/records";
import { Snapshot } from "./routes/logs/snapshot.svelte";

/** What the server was asked, with the bodies of searches. */
let asked: { path: string; body: Record<string, unknown> | null; signal: AbortSignal | null }[] = [];
let isIn = true;
/** Whether searches get no answer. */
let isHeld = false;
const answer = (data: unknown, status = 200) =>
  new Response(JSON.stringify({ data }), { status, headers: { "content-type": "application/json" } });

async function serve(input: Request | string, init?: RequestInit): Promise<Response> {
  const path = new URL(typeof input === "string" ? input : input.url, location.href).pathname;
  const text = typeof input === "string" ? ((init?.body as string | undefined) ?? "") : await input.text();
  const body = text === "" ? null : (JSON.parse(text) as Record<string, unknown>);
  asked.push({ path, body, signal: init?.signal ?? null });
  if (isHeld && path === "/api/v1/search") return new Promise(() => {});
  const status = isIn ? 200 : 401;
  if (path === "/api/v1/sessions/current") return answer({ name: "admin" }, status);
  if (body?.["limit"] === 0) return answer({ as_of: "now@7", records: [] }, status);
  return answer({ as_of: "now@7", records: [{ id: "1" }], partial: false, cursor: null }, status);
}

/** Runs the head at an address. */
async function head(path: string) {
  history.replaceState(null, "", path);
  vi.resetModules();
  await import("./head");
}
/** What the screen asks at the address. */
function screen(): Promise<Snapshot> {
  const { query, streams, range, sort, columns } = parseLogs(new URLSearchParams(location.search));
  const snapshot = new Snapshot();
  const chosen = location.search.includes("cols=") ? columns : [];
  return snapshot.ask({ query, streams, range, order: sort, columns: columnsOf(chosen, false), at: null }).then(() => snapshot);
}
const searches = () => asked.filter(({ path }) => path === "/api/v1/search");

beforeEach(() => {
  asked = [];
  isIn = true;
  isHeld = false;
  localStorage.clear();
  vi.stubGlobal("fetch", serve);
  takeFirstSearch();
  takeFirstSession();
});
afterEach(() => vi.unstubAllGlobals());

test.each(["/", "/logs", "/logs?q=level:error%20%22a%20b%22&from=now-6h&scope=app.*,x&cols=ts,level,msg,status&sort=asc", "/logs?from=nonsense"])(
  "at %s the screen finds asked what it would ask",
  async (path) => {
    await head(path);
    expect(searches().map(({ body }) => body?.["limit"])).toEqual([200]);
    const { records, question, error } = await screen();
    expect(error).toBe(null);
    expect(records).toEqual([{ id: "1" }]);
    expect(searches()).toHaveLength(1);
    expect(question).toMatchObject({ as_of: "now@7", start_time: searches()[0]?.body?.["start_time"] });
    // The next question is the server's again: where "now" is, then the page of it.
    await screen();
    expect(searches().map(({ body }) => body?.["limit"])).toEqual([200, 0, 200]);
    expect(searches()[2]?.body).toMatchObject({ ...searches()[0]?.body, start_time: expect.any(String), end_time: expect.any(String), as_of: "now@7" });
  },
);

test.each(["/settings", "/logs?live=1", "/logs?at=2026-01-04T14:05:00.000Z", "/logs?q=*%20%7C%20stats%20count()"])(
  "at %s no list comes first",
  async (path) => {
    await head(path);
    expect(searches()).toEqual([]);
    expect((await globalThis.firstSession)?.ok).toBe(true);
  },
);

test("nobody is logged in: what the head was refused is asked again", async () => {
  isIn = false;
  await head("/logs");
  isIn = true;
  expect((await screen()).records).toEqual([{ id: "1" }]);
  expect(searches().map(({ body }) => body?.["limit"])).toEqual([200, 0, 200]);
});

test.each([
  ["another question", "/logs?q=two"],
  ["other columns", "/logs?q=one&cols=ts,status"],
])("%s is asked anew, and the head's is given up", async (_, path) => {
  await head("/logs?q=one");
  history.replaceState(null, "", path);
  await screen();
  expect(searches().map(({ body }) => body?.["limit"])).toEqual([200, 0, 200]);
  expect(searches()[0]?.signal?.aborted).toBe(true);
});

test("an answer that is late or from another moment is not waited for", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  try {
    isHeld = true;
    await head("/logs");
    isHeld = false;
    const asking = screen();
    await vi.advanceTimersByTimeAsync(500);
    expect((await asking).records).toEqual([{ id: "1" }]);
    expect(searches()[0]?.signal?.aborted).toBe(true);
    await head("/logs");
    vi.setSystemTime(Date.now() + 10_000);
    await screen();
    expect(searches().map(({ body }) => body?.["limit"])).toEqual([200, 0, 200, 200, 0, 200]);
  } finally {
    vi.useRealTimers();
  }
});

test("the root shows what was stored; what cannot be read is the default", async () => {
  localStorage.setItem("taffrail.preferences", '{"theme":"dark","density":"relaxed","isRailCollapsed":true}');
  await head("/logs");
  expect({ ...document.documentElement.dataset }).toMatchObject({ theme: "dark", density: "relaxed", rail: "narrow" });
  localStorage.setItem("taffrail.preferences", "{");
  await head("/logs");
  expect({ ...document.documentElement.dataset }).toMatchObject({ theme: "light", density: "compact", rail: "wide" });
});
