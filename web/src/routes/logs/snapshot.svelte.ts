// One question of the Logs screen, and the list that answers it.
//
// Invariants
// - List, histogram and facets of one question ask with the same two moments and the same `as_of`:
//   the sum of the bars is the total, whatever comes in meanwhile.
// - The list holds at most LIST_RECORDS_MAX records; what it holds stays while it grows. It grows at
//   its end, and at its front too when it began at a moment in the middle (`at`): no record is in it
//   twice, and none between two of its records is missing.
// - A query with pipes is answered by a table in place of the list. What else is asked of the
//   question is about the records that the table was made of. The table is kept with the query and
//   the moments that made it, for as long as it is shown.
// - An answer that comes after the question has changed is dropped, and its request is ended.
import { untrack } from "svelte";
import { answered, ask, client, type Schemas } from "$api/client";
import { ApiError, asApiError } from "$api/errors";
import { isGoodBy, isSame, takeFirstSearch, type FirstSearch } from "$api/first";
import { preferences } from "$lib/state/preferences.svelte";
import { printTime } from "$lib/state/time";
import { hasPipes } from "$lib/query/terms";
import { isTable, type TableData } from "$lib/table/answer";
import { common, pageOf, probeOf, undated, type Question, type Side, type Undated, type Wanted } from "./question";
import type { LogRecord } from "./records";

/** Records that one list holds: nobody scrolls further, and the page stays quick. */
export const LIST_RECORDS_MAX = 100_000;

/** A table with what it answers: it stays in sight while the next question is under way. */
export interface TableAnswer {
  table: TableData;
  /** Filter and pipes that made it. */
  query: string;
  question: Question;
}

/** What the server answers with records. */
type Page = Schemas["SearchPage"] & { records: LogRecord[]; faults?: string[] };

/** A whole millisecond and one nanosecond after it (or before it). */
function justBeside(moment: number, side: 1 | -1): string {
  const nanos = side === 1 ? "000001" : "999999";
  return printTime(side === 1 ? moment : moment - 1).replace("Z", `${nanos}Z`);
}

/** So long the answer to the page's head is waited for, in ms: the counts wait for it, too. */
const FIRST_WAIT_MAX_MS = 500;
/** An answer that is older, in ms, tells of another moment: somebody had to log in first. */
const FIRST_AGE_MAX_MS = 10_000;

export class Snapshot {
  /** The question that `records` answer, or will; `null` while there is none that can be asked. */
  question = $state.raw<Question | null>(null);
  records = $state.raw<LogRecord[]>([]);
  /** The answer of a query with pipes; `null`: the answer is the list. */
  answer = $state.raw<TableAnswer | null>(null);
  /** `first`: a new question is under way and old records are still shown. */
  loading = $state<"first" | "more" | "before" | null>(null);
  /** Rises with every change of `records`. */
  version = $state(0);
  /** Records that came in front with this version. */
  shifted = $state(0);
  /** Rises when the records of another question took the place of those before. */
  placed = $state(0);
  /** When the request that is under way began. */
  since = $state(0);
  error = $state.raw<ApiError | null>(null);
  isPartial = $state(false);
  faults = $state.raw<string[]>([]);
  /** Whether the records are those of an earlier question. */
  isStale = $state(false);
  #cursor: string | null = null;
  #frontCursor: string | null = null;
  #wanted: Wanted | null = null;
  #request: AbortController | null = null;

  /** Whether there are more records than are loaded. */
  hasMore = $state(false);
  /** Whether there are more records in front of those that are loaded. */
  hasBefore = $state(false);
  isFull = $derived(this.records.length >= LIST_RECORDS_MAX);

  /** Asks anew; what is under way is given up. */
  async ask(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    const request = this.#begin("first");
    this.isStale = untrack(() => this.records.length > 0 || this.answer !== null);
    await this.#run(request, async (signal) => {
      const first = takeFirstSearch();
      const early = first ? await this.#first(first, wanted, signal) : null;
      if (early) return this.#putPage(early, wanted);
      // Sent before anything is waited for, so before the screen is drawn.
      const asked = undated(wanted, Date.now());
      const { as_of } = await ask(client.POST("/api/v1/search", { body: probeOf(asked), signal }));
      if (signal.aborted) return;
      this.question = { ...asked, as_of };
      if (hasPipes(wanted.query)) {
        const { question } = this;
        const table = await this.#table({ ...question, query: wanted.query }, signal);
        if (!signal.aborted) this.#putTable({ table, query: wanted.query, question });
        return;
      }
      const page = await this.#page(this.question, this.#behind(wanted), null, signal);
      if (!signal.aborted) this.#putPage(page, wanted);
    });
  }

  /**
   * The first page as the page's head has asked for it, with its question; `null` if that was another
   * question, went wrong, or takes long.
   */
  async #first({ now, sent }: FirstSearch, wanted: Wanted, signal: AbortSignal): Promise<Page | null> {
    const asked = undated(wanted, now);
    const body = this.#body(asked, { order: wanted.order }, null);
    const isOurs = Date.now() - now < FIRST_AGE_MAX_MS && wanted.at === null && isSame(sent, body);
    if (!isOurs || !(await isGoodBy(FIRST_WAIT_MAX_MS, sent.response))) {
      sent.giveUp();
      return null;
    }
    const page = (await ask(client.POST("/api/v1/search", { body, signal, fetch: answered(sent) }))) as Page;
    if (signal.aborted) return null;
    this.question = { ...asked, as_of: page.as_of };
    return page;
  }

  /** Loads the next page, unless one is under way or there is none. */
  async more(): Promise<void> {
    const { question } = this;
    const wanted = this.#wanted;
    if (!question || !wanted || this.loading || !this.hasMore || this.isFull || this.error) return;
    const request = this.#begin("more");
    await this.#run(request, async (signal) => {
      const page = await this.#page(question, this.#behind(wanted), this.#cursor, signal);
      if (signal.aborted) return;
      this.#put([...this.records, ...page.records].slice(0, LIST_RECORDS_MAX), 0);
      this.#take(page);
    });
  }

  /** Loads the page in front of the first record of a list that began in the middle. */
  async before(): Promise<void> {
    const { question } = this;
    const wanted = this.#wanted;
    if (!question || !wanted || this.loading || !this.hasBefore || this.isFull || this.error) return;
    const request = this.#begin("before");
    await this.#run(request, async (signal) => {
      const page = await this.#page(question, this.#ahead(wanted), this.#frontCursor, signal);
      if (signal.aborted) return;
      this.#frontCursor = page.cursor ?? null;
      this.hasBefore = this.#frontCursor !== null;
      this.#put([...page.records.reverse(), ...this.records], page.records.length);
    });
  }

  async #table(question: Question, signal: AbortSignal): Promise<TableData> {
    const answer: object = await ask(client.POST("/api/v1/search", { body: common(question), signal }));
    if (!isTable(answer)) throw new ApiError("unreadable", "the server answered a query with pipes without a table");
    return answer;
  }

  #putTable(answer: TableAnswer): void {
    this.answer = answer;
    this.#put([], 0);
    this.hasBefore = false;
    this.isStale = false;
    this.#take({ cursor: null, partial: answer.table.partial });
  }

  /** Takes the first page of the list. */
  #putPage(page: Page, wanted: Wanted): void {
    const { question } = this;
    // The server has the last word on what has pipes.
    if (question && isTable(page)) return this.#putTable({ table: page, query: wanted.query, question });
    this.answer = null;
    this.#frontCursor = null;
    this.hasBefore = this.#isInside(wanted.at);
    this.#put(page.records, 0);
    this.placed += 1;
    this.isStale = false;
    this.#take(page);
  }

  #put(records: LogRecord[], shifted: number): void {
    this.records = records;
    this.shifted = shifted;
    this.version += 1;
  }

  #isInside(at: number | null): at is number {
    return at !== null && this.question !== null && at >= this.question.start && at < this.question.end;
  }

  /** From where the list begins to its end. */
  #behind({ order, at }: Wanted): Side {
    if (!this.#isInside(at)) return { order };
    return order === "desc" ? { order, end_time: printTime(at) } : { order, start_time: printTime(at) };
  }

  /** From where the list begins to its front, the nearest record first. */
  #ahead({ order, at }: Wanted): Side {
    if (at === null) return { order };
    return order === "desc" ? { order: "asc", start_time: justBeside(at, 1) } : { order: "desc", end_time: justBeside(at, -1) };
  }

  /** Tries again what failed. */
  retry(): void {
    const wanted = this.#wanted;
    if (!wanted) return;
    const isFirst = this.isStale || this.records.length === 0 || this.answer !== null;
    this.error = null;
    void (isFirst ? this.ask(wanted) : this.more().then(() => this.before()));
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

  #begin(kind: "first" | "more" | "before"): AbortController {
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

  async #page(question: Question, side: Side, cursor: string | null, signal: AbortSignal): Promise<Page> {
    const body = this.#body(question, side, cursor);
    return (await ask(client.POST("/api/v1/search", { body, signal }))) as Page;
  }

  #body(question: Undated, side: Side, cursor: string | null) {
    return pageOf(question, side, this.#wanted?.columns ?? [], untrack(() => preferences.values.pageRecords), cursor);
  }

  #take(page: { cursor?: string | null; partial: boolean; faults?: string[] }): void {
    this.#cursor = page.cursor ?? null;
    this.hasMore = this.#cursor !== null;
    this.isPartial = page.partial;
    this.faults = page.faults ?? [];
  }
}
