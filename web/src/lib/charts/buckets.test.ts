import { expect, test } from "vitest";
import { durationMs, stacked, toBars, type Histogram } from "./buckets";

const at = (ms: number) => new Date(ms).toISOString();
const histogram = (series: Histogram["series"], interval = "10s"): Histogram => ({
  as_of: '',
  interval,
  series,
  partial: false,
  took_ms: 1,
  total: 0,
});

test.each([
  ["30s", 30_000],
  ["1h30m", 5_400_000],
  ["500ms", 500],
  ["1d", 86_400_000],
  ["", null],
  ["5", null],
  ["x", null],
])("%s", (text, expected) => expect(durationMs(text)).toBe(expected));

test("empty buckets are there, and the sum is kept", () => {
  const bars = toBars(
    histogram([
      { key: "info", kind: "value", points: [[at(0), 5], [at(30_000), 2]] },
      { key: "error", kind: "value", points: [[at(30_000), 1]] },
      { key: null, kind: "missing", points: [[at(10_000), 4]] },
    ]),
    3_000,
    40_000,
  );
  expect(bars.times).toEqual([0, 10_000, 20_000, 30_000]);
  expect(bars.series.map((one) => [one.key, one.counts])).toEqual([
    ["error", [0, 0, 0, 1]],
    ["info", [5, 0, 0, 2]],
    ["missing", [0, 4, 0, 0]],
  ]);
  expect([bars.totals, bars.total]).toEqual([[5, 4, 0, 3], 12]);
  expect(stacked(bars)).toEqual([[5, 4, 0, 3], [5, 0, 0, 3], [0, 0, 0, 1]]);
});

test("a bucket beyond the range is kept", () => {
  const bars = toBars(histogram([{ key: null, kind: "all", points: [[at(40_000), 3]] }]), 0, 40_000);
  expect([bars.times.length, bars.total]).toEqual([5, 3]);
});

test("no records is bars of height 0", () => {
  const bars = toBars(histogram([]), 0, 60_000);
  expect([bars.times.length, bars.total, bars.series]).toEqual([6, 0, []]);
});
