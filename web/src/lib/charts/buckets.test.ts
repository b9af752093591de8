import { expect, test } from "vitest";
import { valueLabel, valueRange } from "./axis";
import { durationMs, isolated, seriesName, stacked, toBars, valuesAt, type Bars, type Histogram } from "./buckets";

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

test("a missing value is none, zero and what is below it are values", () => {
  const series = [
    { key: "a", counts: [-2.5, 0, NaN], total: 0 },
    { key: "b", counts: [0, NaN, NaN], total: 0 },
  ];
  const bars: Bars = { times: [0, 1, 2], widthMs: 1, series, totals: [0, 0, 0], total: 0 };
  const at = (index: number, isCounted: boolean) => valuesAt(bars, index, isCounted).map(({ key, value }) => [key, value]);
  expect([0, 1, 2].map((index) => at(index, false))).toEqual([[["a", -2.5], ["b", 0]], [["a", 0]], []]);
  // Nothing was counted.
  expect([0, 1, 2].map((index) => at(index, true))).toEqual([[["a", -2.5]], [], []]);
  expect(at(3, false)).toEqual([]);
  expect(stacked({ ...bars, series: [{ key: "a", counts: [1, NaN, 2], total: 3 }, { key: "b", counts: [NaN, NaN, 1], total: 1 }] })).toEqual([
    [1, 0, 3],
    [1, 0, 2],
  ]);
});

test.each([
  [null, null, false, [0, 1]],
  [0, 0, false, [0, 1]],
  [NaN, NaN, false, [0, 1]],
  [2, 10, false, [0, 10.5]],
  [-10, -2, false, [-10.5, 0]],
  [-10, 20, false, [-10.5, 21]],
  [0, 0.0002, false, [0, 0.00021]],
  [null, null, true, [0, 1]],
  [0, 0, true, [0, 1]],
  [1, 100, true, [0, 105]],
] as const)("an axis of %s to %s", (least, greatest, isCounted, expected) => {
  const found = valueRange(least, greatest, isCounted);
  found.forEach((end, at) => expect(end).toBeCloseTo(expected[at]!, 12));
});

test.each([
  [0, "0"],
  [1.15, "1.15"],
  [-0.29, "-0.29"],
  [0.0005, "0.0005"],
  [-2_500, "-2,500"],
  [9_999, "9,999"],
  [10_000, "10k"],
  [-12_500, "-12.5k"],
])("the label of %s", (value, expected) => {
  expect(valueLabel(value)).toBe(expected);
});

test("a name is as long as can be read, and nothing in it acts", () => {
  expect(seriesName("error")).toBe("error");
  expect(seriesName("x".repeat(60))).toBe("x".repeat(60));
  expect(seriesName("x".repeat(61))).toBe(`${"x".repeat(60)}…`);
  expect(seriesName(`${"x".repeat(59)}😀`)).toBe(`${"x".repeat(59)}…`);
  expect(seriesName("<b>\u202egnp\u0000")).toBe("<b><RLO>gnp␀");
});

test.each([
  [[], []],
  [[1], [0]],
  [[null], []],
  [[1, 2, null, 3, null, 4], [3, 5]],
  [[null, 0, null], [1]],
  [[-1, null, 1, 2], [0]],
])("values of %j without a neighbour", (values, expected) => {
  expect(isolated(values)).toEqual(expected);
});
