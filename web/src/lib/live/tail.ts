// A live tail over a WebSocket that comes back by itself.
//
// Invariants
// - Each record comes once: after a break the tail goes on behind the last cursor it was given.
// - Records reach the page at most RENDERS_PER_SECOND times a second, in batches.
// - A break before the first cursor begins anew (`restart`): nothing says what came meanwhile.
// - A paused tail goes on counting, and holds no more than HELD_MAX records; what does not fit is
//   counted as skipped. What the server dropped is counted apart.
// - A refusal (the query is faulty, the session has ended) is final; anything else is retried.
//
// Socket, clock and timers come from outside, so that a test drives them.
import { parseJson } from "$api/json";

/** A record as the API gives it. */
export type TailRecord = Record<string, unknown>;

/** How the connection stands. */
export type TailStatus =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "waiting"; attempt: number; retryAt: number }
  | { kind: "refused"; status: number; detail: string; problem: unknown }
  | { kind: "closed" };

/** What the page is told. */
export interface TailEvents {
  records(records: TailRecord[]): void;
  status(status: TailStatus): void;
  counts(counts: TailCounts): void;
  /** Nothing that was given holds any more: the tail begins anew with its latest records. */
  restart(): void;
  /** What the server says of trouble that does not end the tail. */
  partial(detail: string): void;
}

/** Counts since the tail began. */
export interface TailCounts {
  /** Records that wait for the end of the pause. */
  held: number;
  /** Records that the server passed over since this client was too slow. */
  dropped: number;
  /** Records that did not fit while the tail was paused. */
  skipped: number;
}

/** What a tail needs of the browser. */
export interface TailWorld {
  open(url: string): TailSocket;
  now(): number;
  later(milliseconds: number, what: () => void): () => void;
}

/** The part of a WebSocket that is used. */
export interface TailSocket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  close(): void;
}

export const RENDERS_PER_SECOND = 10;
/** Records that a pause keeps: as many as the list shows. */
export const HELD_MAX = 50_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 15_000;
/** A connection that stood this long is a good one: the next break is retried at once. */
const GOOD_AFTER_MS = 5000;
/** The server says its cursor every second; silence for so long means that nobody is there. */
const SILENCE_MAX_MS = 10_000;
/** A timer so late says that the page itself stood still: what the server said meanwhile waits to be heard. */
const LATE_MS = 1_000;

/** What is asked for. */
export interface TailQuestion {
  query: string;
  streams?: string[];
  /** Latest records to begin with. */
  backlog: number;
  /** Fields of each record; all without it. */
  fields?: string[];
  /** Texts are cut to so many bytes. */
  previewBytes?: number;
}

export class Tail {
  #question: TailQuestion;
  #events: TailEvents;
  #world: TailWorld;
  #base: string;
  #socket: TailSocket | null = null;
  #cursor: string | null = null;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #batch: TailRecord[] = [];
  #held: TailRecord[] = [];
  #paused = false;
  /** Whether a record has come. */
  #isBegun = false;
  #ended = false;
  #counts: TailCounts = { held: 0, dropped: 0, skipped: 0 };
  #cancelRender: (() => void) | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelWatch: (() => void) | null = null;

  /** `base` is the address of the WebSocket, such as `wss://host/ws/logs`. */
  constructor(base: string, question: TailQuestion, events: TailEvents, world: TailWorld) {
    this.#base = base;
    this.#question = question;
    this.#events = events;
    this.#world = world;
    this.#connect();
  }

  /** The place behind the last record, for a link or a later tail. */
  get cursor(): string | null {
    return this.#cursor;
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  /** Gives what was held, and goes on. */
  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    this.#count({ held: 0 });
    if (held.length > 0) this.#events.records(held);
  }

  /** Ends the tail for good. */
  close(): void {
    this.#end({ kind: "closed" });
  }

  /** Tries at once, as when the browser says that it is online again. */
  retry(): void {
    if (this.#cancelRetry === null) return;
    this.#cancelRetry();
    this.#connect();
  }

  #connect(): void {
    this.#cancelRetry = null;
    if (this.#cursor === null) this.#forget();
    this.#events.status({ kind: "connecting" });
    const socket = this.#world.open(this.#address());
    this.#socket = socket;
    this.#openedAt = this.#world.now();
    socket.onopen = () => {
      this.#openedAt = this.#world.now();
      this.#heard();
      this.#events.status({ kind: "live" });
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#take(String(data));
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#broken();
    };
  }

  #forget(): void {
    this.#batch = [];
    this.#held = [];
    if (this.#counts.held > 0) this.#count({ held: 0 });
    if (this.#isBegun) this.#events.restart();
    this.#isBegun = false;
  }

  #address(): string {
    const parameters = new URLSearchParams({ query: this.#question.query });
    if (this.#question.streams !== undefined && this.#question.streams.length > 0) {
      parameters.set("streams", this.#question.streams.join(","));
    }
    if (this.#question.fields !== undefined) parameters.set("fields", this.#question.fields.join(","));
    if (this.#question.previewBytes !== undefined) parameters.set("preview_bytes", String(this.#question.previewBytes));
    if (this.#cursor === null) parameters.set("backlog", String(this.#question.backlog));
    else parameters.set("cursor", this.#cursor);
    return `${this.#base}?${parameters}`;
  }

  #take(text: string): void {
    this.#heard();
    const message = parseJson(text) as {
      type: string;
      data?: TailRecord;
      cursor?: string;
      count?: number;
      status?: number;
      detail?: string;
      problem?: unknown;
    };
    if (typeof message.cursor === "string") this.#cursor = message.cursor;
    if (message.type === "log_entry" && message.data !== undefined) this.#queue(message.data);
    else if (message.type === "dropped") this.#count({ dropped: this.#counts.dropped + (message.count ?? 0) });
    else if (message.type === "error") this.#fault(message.status ?? 0, message.detail ?? "", message.problem);
  }

  #fault(status: number, detail: string, problem: unknown): void {
    if (status >= 400 && status < 500 && status !== 429) this.#end({ kind: "refused", status, detail, problem });
    // Records that cannot be read, a server that stops or is full: it goes on, now or later.
    else this.#events.partial(detail);
  }

  #queue(record: TailRecord): void {
    this.#isBegun = true;
    this.#batch.push(record);
    this.#cancelRender ??= this.#world.later(1000 / RENDERS_PER_SECOND, () => {
      this.#cancelRender = null;
      this.#render();
    });
  }

  #render(): void {
    const batch = this.#batch;
    this.#batch = [];
    if (!this.#paused) {
      if (batch.length > 0) this.#events.records(batch);
      return;
    }
    const room = HELD_MAX - this.#held.length;
    for (const record of batch.slice(0, room)) this.#held.push(record);
    this.#count({
      held: this.#held.length,
      skipped: this.#counts.skipped + Math.max(0, batch.length - room),
    });
  }

  #count(change: Partial<TailCounts>): void {
    this.#counts = { ...this.#counts, ...change };
    this.#events.counts(this.#counts);
  }

  #heard(): void {
    this.#heardAt = this.#world.now();
    if (this.#cancelWatch === null) this.#watchIn(SILENCE_MAX_MS);
  }

  #watchIn(milliseconds: number): void {
    const due = this.#world.now() + milliseconds;
    this.#cancelWatch = this.#world.later(milliseconds, () => this.#watch(this.#world.now() - due));
  }

  #watch(lateMs: number): void {
    this.#cancelWatch = null;
    const rest = this.#heardAt + SILENCE_MAX_MS - this.#world.now();
    if (rest > 0) this.#watchIn(rest);
    else if (lateMs > LATE_MS) this.#watchIn(LATE_MS);
    else if (this.#socket !== null) {
      this.#socket.close();
      this.#broken();
    }
  }

  #broken(): void {
    this.#socket = null;
    this.#cancelWatch?.();
    this.#cancelWatch = null;
    if (this.#ended) return;
    if (this.#world.now() - this.#openedAt >= GOOD_AFTER_MS) this.#attempt = 0;
    const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    this.#events.status({ kind: "waiting", attempt: this.#attempt, retryAt: this.#world.now() + wait });
    this.#cancelRetry = this.#world.later(wait, () => this.#connect());
  }

  #end(status: TailStatus): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelRender?.();
    this.#cancelRetry?.();
    this.#cancelWatch?.();
    this.#cancelRetry = null;
    this.#render();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#events.status(status);
  }
}

/** The world of a page. */
export const browserWorld: TailWorld = {
  open: (url) => new WebSocket(url) as unknown as TailSocket,
  now: () => Date.now(),
  later: (milliseconds, what) => {
    const timer = setTimeout(what, milliseconds);
    return () => clearTimeout(timer);
  },
};
