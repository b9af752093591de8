// A timechart's table as the series of a chart.
//
// What the pipe says is read from its text (query/pipes.ts). The columns are the answer's; where both
// do not fit together (the columns were chosen by `fields`), nothing is drawn.
//
// Invariants
// - A value that the table does not have is NaN and drawn as a gap, never as zero; only where records
//   are counted does no row mean none.
// - Values below zero are never stacked.
import { NumberText } from "$api/json";
import { type Bars, durationMs } from "$lib/charts/buckets";
import { groupingPipe, pipesOf, splitOutside } from "$lib/query/pipes";
import { isNumeric, wholeText, type TableData } from "./answer";

/** Series of a chart: more colours cannot be told apart. */
export const SERIES_MAX = 8;
/** Buckets that are drawn: as many as the screen has dots, and twice more. */
export const BUCKETS_MAX = 5_000;

/** What a timechart pipe says. */
export interface TimechartPipe {
  widthMs: number;
  /** Its functions as they are written. */
  functions: string[];
  /** Number of fields after `by`. */
  groups: number;
}

export interface TimeSeries {
  bars: Bars;
  /** Whether the series add up to something: counts do and sums without a negative one, quantiles do not. */
  isStacked: boolean;
  /** Whether records are counted: where there are none the value is zero; of all else it is missing. */
  isCounted: boolean;
  /** Series that are not drawn (lines) or drawn together as one (bars). */
  others: number;
}

/** The timechart of a query, if it has one that a chart can show. */
export function timechartOf(query: string): TimechartPipe | null {
  const pipe = groupingPipe(query);
  if (pipe?.kind !== "timechart" || pipesOf(query).some((other) => /^\s*fields\b/i.test(other))) return null;
  const [, width = "", functions = ""] = /^(\S+)(.*)$/s.exec(pipe.what) ?? [];
  const widthMs = durationMs(width);
  if (widthMs === null) return null;
  const listed = splitOutside(functions, ",").map((text) => text.trim());
  return { widthMs, functions: listed.filter((text) => text !== ""), groups: pipe.groups.length };
}

/** Columns of the table that can be drawn, by name. */
export function measures(table: TableData, pipe: TimechartPipe): string[] {
  if (table.columns[0]?.type !== "time") return [];
  return table.columns.slice(1 + pipe.groups).filter(isNumeric).map(({ name }) => name);
}

const numberOf = (value: unknown) => (value instanceof NumberText ? value.valueOf() : typeof value === "number" ? value : NaN);

/** Buckets between the first and the last time that are to be drawn. */
export function bucketCount(table: TableData, { widthMs }: TimechartPipe, start: number, end: number): number {
  const [first, last] = span(table, widthMs, start, end);
  return Math.max(1, Math.round((last - first) / widthMs) + 1);
}

function span(table: TableData, widthMs: number, start: number, end: number): [number, number] {
  const times = table.rows.map((row) => Date.parse(String(row[0])));
  return [
    Math.min(...bounds(times, Math.min), Math.floor(start / widthMs) * widthMs),
    Math.max(...bounds(times, Math.max), Math.floor((end - 1) / widthMs) * widthMs),
  ];
}

/** What a group is called; one that is called as another is written as JSON. */
function nameOf(values: unknown[], taken: ReadonlySet<string>): string {
  const plain = values.map((value) => (value === null || value === undefined ? "none" : wholeText(value))).join(" · ");
  return taken.has(plain) ? JSON.stringify(values.map((value) => (value === null ? null : wholeText(value)))) : plain;
}

/**
 * One measure of the table over time, a series for each combination of the groups; `null` if there
 * are more than {@link BUCKETS_MAX} buckets.
 */
export function timeSeries(table: TableData, pipe: TimechartPipe, measure: string, start: number, end: number): TimeSeries | null {
  const { widthMs, groups } = pipe;
  const at = table.columns.findIndex(({ name }, place) => place > groups && name === measure);
  const written = pipe.functions[at - 1 - groups] ?? "count";
  const isCounted = /^count(_if)?\b/i.test(written);
  const isStacked = isCounted || (/^sum\b/i.test(written) && !table.rows.some((row) => numberOf(row[at]) < 0));
  const times = table.rows.map((row) => Date.parse(String(row[0])));
  const [first] = span(table, widthMs, start, end);
  const length = bucketCount(table, pipe, start, end);
  if (length > BUCKETS_MAX) return null;
  const found = new Map<string, { key: string; counts: number[]; total: number }>();
  const taken = new Set<string>();
  for (const [place, row] of table.rows.entries()) {
    const values = row.slice(1, 1 + groups);
    const id = JSON.stringify(values.map((value) => (value === null ? null : wholeText(value))));
    let one = found.get(id);
    if (one === undefined) {
      const key = groups === 0 ? measure : nameOf(values, taken);
      taken.add(key);
      one = { key, counts: new Array<number>(length).fill(isCounted ? 0 : NaN), total: 0 };
      found.set(id, one);
    }
    const value = numberOf(row[at]);
    const bucket = Math.round((times[place]! - first) / widthMs);
    if (Number.isNaN(value) || bucket < 0 || bucket >= length) continue;
    one.counts[bucket] = value;
    one.total += isStacked ? value : 1;
  }
  const series = [...found.values()].sort((a, b) => b.total - a.total || (a.key < b.key ? -1 : 1));
  return { bars: toBars(limited(series, isStacked), first, widthMs, length), isStacked, isCounted, others: Math.max(0, series.length - SERIES_MAX) };
}

/** At most so many arguments as a call takes: the least or the greatest of all. */
const bounds = (values: number[], pick: (...values: number[]) => number) =>
  values.length === 0 ? [] : [values.reduce((one, two) => pick(one, two))];

type Series = Bars["series"];

function limited(series: Series, isStacked: boolean): Series {
  if (series.length <= SERIES_MAX) return series;
  const kept = series.slice(0, SERIES_MAX);
  if (!isStacked) return kept;
  const rest = series.slice(SERIES_MAX);
  // Missing is only what all of them miss.
  const counts = kept[0]!.counts.map((_, at) => rest.reduce((sum, one) => (Number.isNaN(sum) ? one.counts[at]! : sum + (one.counts[at] || 0)), NaN));
  let key = "other";
  while (kept.some((one) => one.key === key)) key += " others";
  return [...kept, { key, counts, total: rest.reduce((sum, one) => sum + one.total, 0) }];
}

function toBars(series: Series, first: number, widthMs: number, length: number): Bars {
  const times = Array.from({ length }, (_, at) => first + at * widthMs);
  const totals = times.map((_, at) => series.reduce((sum, one) => sum + (one.counts[at] || 0), 0));
  return { times, widthMs, series, totals, total: totals.reduce((sum, one) => sum + one, 0) };
}
