// One question of the Logs screen, and the list that answers it.
//
// Invariants
// - List, histogram and facets of one question ask with the same two moments and the same `as_of`:
//   the sum of the bars is the total, whatever comes in meanwhile.
// - The list holds at most LIST_RECORDS_MAX records; what it holds stays while it grows.
// - An answer that comes after the question has changed is dropped, and its request is ended.
import { untrack } from "svelte";
import { ask, client } from "$api/client";
import { ApiError, asApiError } from "$api/errors";
import { printTime, resolveRange, type TimeRange } from "$lib/state/time";
import { PREVIEW_BYTES, rowFields, type LogRecord } from "./records";

/** Records that are loaded at once. */
const PAGE_RECORDS = 200;
/** Records that one list holds: nobody scrolls further, and the page stays quick. */
export const LIST_RECORDS_MAX = 100_000;

/** What is asked, with its moments fixed. */
export interface Question {
  query: string;
  streams: string[] | null;
  start: number;
  end: number;
  start_time: string;
  end_time: string;
  /** Everything that counts, up to here. */
  as_of: string;
}

export interface Wanted {
  query: string;
  streams: string[];
  range: TimeRange;
  order: "desc" | "asc";
  columns: string[];
}

/** The part of a question that every request carries. */
export function common(question: Question) {
  const { query, streams, start_time, end_time, as_of } = question;
  return { query, streams, start_time, end_time, as_of };
}

export class Snapshot {
  /** The question that `records` answer, or will; `null` while there is none that can be asked. */
  question = $state.raw<Question | null>(null);
  records = $state.raw<LogRecord[]>([]);
  /** `first`: a new question is under way and old records are still shown. */
  loading = $state<"first" | "more" | null>(null);
  /** When the request that is under way began. */
  since = $state(0);
  error = $state.raw<ApiError | null>(null);
  isPartial = $state(false);
  faults = $state.raw<string[]>([]);
  /** Whether the records are those of an earlier question. */
  isStale = $state(false);
  #cursor: string | null = null;
  #wanted: Wanted | null = null;
  #request: AbortController | null = null;

  /** Whether there are more records than are loaded. */
  hasMore = $state(false);
  isFull = $derived(this.records.length >= LIST_RECORDS_MAX);

  /** Asks anew; what is under way is given up. */
  async ask(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    const request = this.#begin("first");
    this.isStale = untrack(() => this.records.length > 0);
    const moments = resolveRange(wanted.range, Date.now());
    const fixed = {
      query: wanted.query,
      streams: wanted.streams.length > 0 ? wanted.streams : null,
      ...moments,
      start_time: printTime(moments.start),
      end_time: printTime(moments.end),
    };
    await this.#run(request, async (signal) => {
      // No record and no count: it says where "now" is, and whether the query can be read at all.
      const probe = { query: fixed.query, streams: fixed.streams, limit: 0, count: false };
      const { as_of } = await ask(client.POST("/api/v1/search", { body: probe, signal }));
      if (signal.aborted) return;
      this.question = { ...fixed, as_of };
      const page = await this.#page(this.question, wanted, null, signal);
      if (signal.aborted) return;
      this.records = page.records;
      this.isStale = false;
      this.#take(page);
    });
  }

  /** Loads the next page, unless one is under way or there is none. */
  async more(): Promise<void> {
    const { question } = this;
    const wanted = this.#wanted;
    if (!question || !wanted || this.loading || !this.hasMore || this.isFull || this.error) return;
    const request = this.#begin("more");
    await this.#run(request, async (signal) => {
      const page = await this.#page(question, wanted, this.#cursor, signal);
      if (signal.aborted) return;
      this.records = [...this.records, ...page.records].slice(0, LIST_RECORDS_MAX);
      this.#take(page);
    });
  }

  /** Tries again what failed. */
  retry(): void {
    const wanted = this.#wanted;
    if (!wanted) return;
    const isFirst = this.isStale || this.records.length === 0;
    this.error = null;
    void (isFirst ? this.ask(wanted) : this.more());
  }

  /** Gives up what is under way; what is there stays. */
  cancel(): void {
    this.#request?.abort();
    this.#request = null;
    if (this.loading) this.error = new ApiError("unreadable", "the search was cancelled");
    this.loading = null;
  }

  /** Ends everything, for a screen that goes. */
  close(): void {
    this.#request?.abort();
    this.#request = null;
  }

  #begin(kind: "first" | "more"): AbortController {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    this.loading = kind;
    this.since = Date.now();
    this.error = null;
    return request;
  }

  async #run(request: AbortController, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await work(request.signal);
    } catch (fault) {
      if (this.#request !== request) return;
      this.error = asApiError(fault);
      // A query that cannot be read has no answer, and nothing else is to be asked with it.
      if (this.error?.fault) this.question = null;
    } finally {
      if (this.#request === request) {
        this.#request = null;
        this.loading = null;
      }
    }
  }

  async #page(question: Question, wanted: Wanted, cursor: string | null, signal: AbortSignal) {
    const body = {
      ...common(question),
      order: wanted.order,
      limit: PAGE_RECORDS,
      count: false,
      cursor,
      fields: rowFields(wanted.columns),
      preview_bytes: PREVIEW_BYTES,
    };
    const page = await ask(client.POST("/api/v1/search", { body, signal }));
    return page as typeof page & { records: LogRecord[]; faults?: string[] };
  }

  #take(page: { cursor?: string | null; partial: boolean; faults?: string[] }): void {
    this.#cursor = page.cursor ?? null;
    this.hasMore = this.#cursor !== null;
    this.isPartial = page.partial;
    this.faults = page.faults ?? [];
  }
}
