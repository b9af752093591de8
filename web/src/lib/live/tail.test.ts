import { beforeEach, describe, expect, it } from "vitest";
import { HELD_MAX, Tail, type TailCounts, type TailRecord, type TailSocket, type TailStatus } from "./tail";

/** Time, timers and a server that a test moves by hand. */
class World {
  time = 0;
  timers: { at: number; what: () => void }[] = [];
  sockets: (TailSocket & { url: string; closed: boolean })[] = [];

  now = () => this.time;
  later = (milliseconds: number, what: () => void) => {
    const timer = { at: this.time + milliseconds, what };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };
  open = (url: string) => {
    const socket = {
      url,
      closed: false,
      onopen: null,
      onmessage: null,
      onclose: null,
      close: () => undefined,
    } as TailSocket & { url: string; closed: boolean };
    socket.close = () => {
      socket.closed = true;
    };
    this.sockets.push(socket);
    return socket;
  };

  get last() {
    return this.sockets.at(-1)!;
  }
  /** Time goes by, and nothing runs: the page is stopped. */
  stall(milliseconds: number) {
    this.time += milliseconds;
  }
  pass(milliseconds: number) {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.time = Math.max(this.time, next.at);
      next.what();
    }
    this.time = end;
  }
  say(...messages: object[]) {
    for (const message of messages) this.last.onmessage?.({ data: JSON.stringify(message) });
  }
}

let world: World;
let batches: TailRecord[][];
let statuses: TailStatus[];
let counts: TailCounts;
let faults: string[];
let restarts: number;

function start(): Tail {
  const tail = new Tail(
    "ws://here/ws/logs",
    { query: "level:error", streams: ["app.*", "security"], backlog: 50 },
    {
      records: (records) => batches.push(records),
      status: (status) => statuses.push(status),
      counts: (now) => (counts = now),
      restart: () => (restarts += 1),
      partial: (detail) => faults.push(detail),
    },
    world,
  );
  world.last.onopen?.();
  return tail;
}

const entry = (id: number) => ({ type: "log_entry", data: { id }, cursor: `c${id}` });
const ids = () => batches.map((batch) => batch.map(({ id }) => id));

beforeEach(() => {
  world = new World();
  batches = [];
  restarts = 0;
  statuses = [];
  counts = { held: 0, dropped: 0, skipped: 0 };
  faults = [];
});

describe("a tail", () => {
  it("asks for what is wanted and gives records in batches", () => {
    start();
    expect(world.last.url).toBe("ws://here/ws/logs?query=level%3Aerror&streams=app.*%2Csecurity&backlog=50");
    world.say(entry(1), entry(2));
    expect(batches).toEqual([]);
    world.pass(100);
    world.say(entry(3));
    world.pass(100);
    expect(ids()).toEqual([[1, 2], [3]]);
    expect(statuses.map(({ kind }) => kind)).toEqual(["connecting", "live"]);
  });

  it("goes on behind the last cursor after a break, and waits longer each time", () => {
    start();
    world.say(entry(1), { type: "cursor", cursor: "c7" });
    world.last.onclose?.({ code: 1006, reason: "" });
    expect(statuses.at(-1)).toEqual({ kind: "waiting", attempt: 1, retryAt: 250 });
    world.pass(250);
    expect(world.sockets).toHaveLength(2);
    expect(new URL(world.last.url).searchParams.get("cursor")).toBe("c7");
    expect(new URL(world.last.url).searchParams.has("backlog")).toBe(false);
    world.last.onclose?.({ code: 1006, reason: "" });
    expect(statuses.at(-1)).toEqual({ kind: "waiting", attempt: 2, retryAt: 750 });
    expect(ids()).toEqual([[1]]);
  });

  it("begins anew when it breaks before the first cursor", () => {
    const tail = start();
    tail.pause();
    world.say({ type: "log_entry", data: { id: 1 } });
    world.pass(100);
    expect(counts.held).toBe(1);
    world.last.onclose?.({ code: 1006, reason: "" });
    world.pass(250);
    expect(new URL(world.last.url).searchParams.get("backlog")).toBe("50");
    expect([restarts, counts.held]).toEqual([1, 0]);
    world.say(entry(1));
    world.last.onclose?.({ code: 1006, reason: "" });
    world.pass(500);
    tail.resume();
    expect([restarts, ids()]).toEqual([1, [[1]]]);
  });

  it("tries at once when asked", () => {
    const tail = start();
    world.last.onclose?.({ code: 1006, reason: "" });
    tail.retry();
    expect(world.sockets).toHaveLength(2);
    world.pass(1000);
    expect(world.sockets).toHaveLength(2);
  });

  it("forgets a break after a good connection", () => {
    start();
    world.last.onclose?.({ code: 1006, reason: "" });
    world.pass(250);
    world.last.onopen?.();
    world.pass(6000);
    world.say({ type: "cursor", cursor: "x" });
    world.last.onclose?.({ code: 1006, reason: "" });
    expect(statuses.at(-1)).toMatchObject({ kind: "waiting", attempt: 1 });
  });

  it("notices a server that says nothing any more", () => {
    start();
    world.pass(8000);
    world.say({ type: "cursor", cursor: "x" });
    world.pass(9000);
    expect(statuses.at(-1)?.kind).toBe("live");
    world.pass(1100);
    expect(world.sockets[0]?.closed).toBe(true);
    expect(statuses.map(({ kind }) => kind)).toContain("waiting");
  });

  it("holds records while it is paused", () => {
    const tail = start();
    tail.pause();
    world.say(entry(1), entry(2));
    world.pass(100);
    expect(batches).toEqual([]);
    expect(counts.held).toBe(2);
    tail.resume();
    expect(ids()).toEqual([[1, 2]]);
    expect(counts.held).toBe(0);
  });

  it("counts what a pause cannot hold", () => {
    const tail = start();
    tail.pause();
    for (let id = 0; id < HELD_MAX + 3; id += 1) world.say(entry(id));
    world.pass(100);
    expect(counts).toEqual({ held: HELD_MAX, dropped: 0, skipped: 3 });
  });

  it("says what the server dropped", () => {
    start();
    world.say({ type: "dropped", count: 5 }, { type: "dropped", count: 2 });
    expect(counts.dropped).toBe(7);
  });

  it("does not hear of what was dropped a second time after a break", () => {
    start();
    world.say(entry(1), { type: "dropped", count: 5, cursor: "c6" });
    world.last.onclose?.({ code: 1006, reason: "" });
    world.pass(250);
    expect(new URL(world.last.url).searchParams.get("cursor")).toBe("c6");
  });

  it("ends with a refusal and never comes back", () => {
    start();
    world.say({ type: "error", status: 401, detail: "the session has ended", problem: "urn:x" });
    expect(statuses.at(-1)).toMatchObject({ kind: "refused", status: 401 });
    expect(world.last.closed).toBe(true);
    world.pass(60_000);
    expect(world.sockets).toHaveLength(1);
  });

  it("comes back to a server that stops", () => {
    start();
    world.say({ type: "error", status: 503, detail: "stopping" });
    expect(faults).toEqual(["stopping"]);
    world.last.onclose?.({ code: 1012, reason: "" });
    expect(statuses.at(-1)?.kind).toBe("waiting");
  });

  it("gives what has come before it is closed", () => {
    const tail = start();
    world.say(entry(1));
    tail.close();
    expect(ids()).toEqual([[1]]);
    expect(statuses.at(-1)).toEqual({ kind: "closed" });
    world.pass(60_000);
    expect(world.sockets).toHaveLength(1);
  });
});

describe("silence", () => {
  it("is none while the page stood still: what waits is heard first", () => {
    start();
    world.say({ type: "cursor", cursor: "c1" });
    world.stall(60_000);
    world.pass(500);
    world.say(entry(2));
    world.pass(1_000);
    expect(world.sockets.map(({ closed }) => closed)).toEqual([false]);
    expect(ids()).toEqual([[2]]);
  });

  it("is a break when nothing waited", () => {
    start();
    world.say({ type: "cursor", cursor: "c1" });
    world.stall(60_000);
    world.pass(1_000);
    expect(world.sockets[0]!.closed).toBe(true);
  });
});
