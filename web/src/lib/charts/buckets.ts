// The answer of a histogram as bars: every bucket of the range, also the empty ones that the answer
// leaves out, and the series in a fixed order.
//
// The sum of all bars is the answer's `total`; a bucket that the answer has beyond the range's
// ends (buckets begin at multiples of the interval) is kept, so that nothing goes missing.
import type { Schemas } from "$api/client";
import { plain } from "$lib/text/spans";
import { isLevel, LEVELS } from "$lib/ui/levels";

export type Histogram = Schemas["HistogramData"];

export interface Bars {
  /** Beginning of each bucket, in ms. */
  times: number[];
  widthMs: number;
  /** A value that is missing is NaN. */
  series: { key: string; counts: number[]; total: number }[];
  /** Sum of each bucket. */
  totals: number[];
  total: number;
}

/** Past this the bars are not drawn one a bucket; the server is asked for far fewer. */
const BUCKETS_MAX = 5_000;
/** The most severe at the bottom, where it can be compared. */
const ORDER = [...LEVELS].reverse() as string[];
const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8 };

/** `30s`, `1h30m`; `null` if it is no duration. */
export function durationMs(text: string): number | null {
  let total = 0;
  let rest = text;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/.exec(rest);
    if (!match) return null;
    total += Number(match[1]) * UNIT_MS[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  return total > 0 ? total : null;
}

const nameOf = (series: Histogram["series"][number]) =>
  series.kind === "value" ? (series.key ?? "") : series.kind === "all" ? "records" : series.kind;

/** Place of a series: levels by severity, then by name, then what is no value. */
function rank(key: string): number {
  const at = ORDER.indexOf(key);
  if (at >= 0) return at;
  return key === "other" ? 100 : key === "missing" ? 101 : 50;
}

export function toBars(histogram: Histogram, start: number, end: number): Bars {
  const widthMs = durationMs(histogram.interval) ?? Math.max(end - start, 1);
  const counted = histogram.series.map((series) => ({
    key: nameOf(series),
    points: (series.points as [string, number][]).map(([time, count]) => [Date.parse(time), count] as const),
  }));
  let first = Math.floor(start / widthMs) * widthMs;
  let last = Math.max(first, Math.floor((end - 1) / widthMs) * widthMs);
  for (const { points } of counted) {
    for (const [time] of points) {
      first = Math.min(first, time);
      last = Math.max(last, time);
    }
  }
  const length = Math.min(Math.round((last - first) / widthMs) + 1, BUCKETS_MAX);
  const totals = new Array<number>(length).fill(0);
  const series = counted
    .sort((a, b) => rank(a.key) - rank(b.key) || a.key.localeCompare(b.key))
    .map(({ key, points }) => {
      const counts = new Array<number>(length).fill(0);
      let total = 0;
      for (const [time, count] of points) {
        const at = Math.min(Math.floor((time - first) / widthMs), length - 1);
        counts[at]! += count;
        totals[at]! += count;
        total += count;
      }
      return { key, counts, total };
    });
  const times = Array.from({ length }, (_, at) => first + at * widthMs);
  return { times, widthMs, series, totals, total: series.reduce((sum, one) => sum + one.total, 0) };
}

/** Heights to draw: each series on top of those before it, the tallest first. */
export function stacked(bars: Bars): number[][] {
  const sums = new Array<number>(bars.times.length).fill(0);
  return bars.series
    .map((series) => series.counts.map((count, at) => (sums[at]! += count || 0)))
    .reverse();
}

/** Values of a bucket in the order of the series, without those that are missing or count nothing. */
export function valuesAt(bars: Bars, at: number, isCounted: boolean): { key: string; value: number }[] {
  return bars.series
    .map(({ key, counts }) => ({ key, value: counts[at] ?? NaN }))
    .filter(({ value }) => !Number.isNaN(value) && !(isCounted && value === 0));
}

/** Places of values with a gap on both sides: no line leads there, so that they are drawn as points. */
export function isolated(values: ArrayLike<number | null | undefined>): number[] {
  const isGap = (at: number) => values[at] === null || values[at] === undefined;
  return Array.from({ length: values.length }, (_, at) => at).filter((at) => !isGap(at) && isGap(at - 1) && isGap(at + 1));
}

/** Characters of a name that are drawn; it may be a text of a megabyte. */
const NAME_CHARS_MAX = 60;

/** What a series is called: its level, or its group with everything that would act shown. */
export function seriesName(key: string): string {
  if (isLevel(key)) return key;
  const name = plain(key.slice(0, NAME_CHARS_MAX).replace(/[\ud800-\udbff]$/, ""));
  return key.length > NAME_CHARS_MAX ? `${name}…` : name;
}
