// What the Logs screen asks, as bodies of requests. Plain functions: the page's head asks the very
// same before the screen's code is here (head.ts).
import { printTime, resolveRange, type TimeRange } from "$lib/state/time";
import { filterOf } from "$lib/query/terms";
import { PREVIEW_BYTES, rowFields } from "./records";

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
  /** Moment at which the list begins, in ms; `null`: at its end that comes first. */
  at: number | null;
}

/** A question of which the server has not said yet where "now" is. */
export type Undated = Omit<Question, "as_of">;

/** Two ends of the time that one direction of a list asks for. */
export type Side = { start_time?: string; end_time?: string; order: "desc" | "asc" };

/** The question of what is wanted; relative times are of `now`, in ms. */
export function undated({ query, streams, range }: Wanted, now: number): Undated {
  const moments = resolveRange(range, now);
  return {
    query: filterOf(query),
    streams: streams.length > 0 ? streams : null,
    ...moments,
    start_time: printTime(moments.start),
    end_time: printTime(moments.end),
  };
}

/** No record and no count: it says where "now" is, and whether the query can be read at all. */
export function probeOf({ query, streams }: Undated) {
  return { query, streams, limit: 0, count: false };
}

/** The part of a question that every request carries. */
export function common(question: Question) {
  return { ...dated(question), as_of: question.as_of };
}

const dated = ({ query, streams, start_time, end_time }: Undated) => ({ query, streams, start_time, end_time });

/** One page of the list: `limit` records behind the cursor. Undated, its answer says where "now" is. */
export function pageOf(question: Undated & { as_of?: string }, side: Side, columns: string[], limit: number, cursor: string | null) {
  return {
    ...dated(question),
    as_of: question.as_of,
    ...side,
    limit,
    count: false,
    cursor,
    fields: rowFields(columns),
    preview_bytes: PREVIEW_BYTES,
  };
}
