import { describe, expect, test } from "vitest";
import { parseJson } from "$api/json";
import { filterOf, hasPipes } from "$lib/query/terms";
import { cellText, csv, fractions, isTable, order, tipText, widths, type TableData } from "./answer";
import { bucketCount, measures, timechartOf, timeSeries } from "./timechart";

function table(columns: [name: string, type: string][], rows: unknown[][]): TableData {
  const named = columns.map(([name, type]) => ({ name, type }));
  return { columns: named, rows, total: rows.length, is_truncated: false, is_estimate: false, took_ms: 1, as_of: "", partial: false };
}

describe("a query and its pipes", () => {
  test.each([
    ["level:error | stats count()", "level:error", true],
    ["| top 3 source", "", true],
    ['a "b | c" d\\|e', 'a "b | c" d\\|e', false],
    ["path=/health | top source", "path=/health", true],
    ["path:=/health | top source", "path:=/health", true],
    ["[auth | stats count()", "[auth", true],
    ["path:/a|b/ -/c|d/ | stats count()", "path:/a|b/ -/c|d/", true],
    ["n:[1 TO 2} x{ | top a", "n:[1 TO 2} x{", true],
    ["", "", false],
  ])("%s", (query, filter, has) => {
    expect(filterOf(query)).toBe(filter);
    expect(hasPipes(query)).toBe(has);
  });
});

describe("cells", () => {
  test.each([
    [1234567, "integer", "1,234,567"],
    ["170141183460469231731687303715884105727", "integer", "170,141,183,460,469,231,731,687,303,715,884,105,727"],
    [0.00012, "number", "0.00012"],
    [-1234.5, "number", "-1,234.5"],
    [null, "integer", "–"],
    [null, "string", "–"],
    [{ a: [1] }, "string", '{"a":[1]}'],
    [true, "boolean", "true"],
    ["<b>", "string", "<b>"],
    ["\u001b[31mred\u001b[0m \u001b]0;t\u0007", "string", "red ␛]0;t␇"],
    ["two\r\nlines\tof", "string", "two ⏎ lines  of"],
    ["\u202egnp.exe\u001b", "string", "<RLO>gnp.exe\u241b"],
  ])("%s as %s", (value, type, expected) => {
    expect(cellText(value, { name: "x", type })).toBe(expected);
  });
  test("numbers of a column have the same digits after the point", () => {
    const made = table([["n", "integer"], ["x", "number"]], [[1, 995.0898882012377], [2, 7], [3, 0.0001], [4, null]]);
    expect(fractions(made)).toEqual([0, 3]);
    expect(made.rows.map((row) => cellText((row as unknown[])[1], made.columns[1]!, 3))).toEqual(["995.090", "7.000", "0.0001", "–"]);
  });
  test("a text is cut at its limit", () => {
    const column = { name: "x", type: "string" };
    expect(cellText("x".repeat(1_000), column)).toHaveLength(1_000);
    expect(cellText("x".repeat(1_001), column)).toHaveLength(1_000);
    // Half of a character is not drawn.
    expect(cellText(`${"x".repeat(999)}😀`, column)).toBe("x".repeat(999));
    expect(tipText("x".repeat(501))).toHaveLength(500);
    expect(tipText("a\u202eb")).toBe("a<RLO>b");
  });
});

describe("order", () => {
  const mixed = table(
    [["t", "time"], ["name", "string"], ["n", "number"]],
    [
      ["2026-01-01T00:00:00Z", "b", 10],
      ["2026-01-01T00:00:00.5Z", null, 9.5],
      ["2025-12-31T23:59:59.999999999Z", "a", null],
      ["2026-01-01T00:00:00.000000001Z", "B", -1],
    ],
  );
  test.each([
    ["", [0, 1, 2, 3]],
    ["nothing", [0, 1, 2, 3]],
    ["t", [2, 0, 3, 1]],
    ["-t", [1, 3, 0, 2]],
    ["name", [3, 2, 0, 1]],
    ["-name", [0, 2, 3, 1]],
    ["n", [3, 1, 0, 2]],
    ["-n", [0, 1, 3, 2]],
  ])("by %s", (by, expected) => {
    expect(order(mixed, by)).toEqual(expected);
  });
  test("numbers that are kept by their digits are numbers", () => {
    const rows = parseJson("[[1.50],[10.0],[9]]") as unknown[][];
    expect(order(table([["n", "number"]], rows), "n")).toEqual([0, 2, 1]);
  });
  test("what is equal stays in its order", () => {
    const rows = Array.from({ length: 100 }, (_, at) => [at % 3]);
    const found = order(table([["n", "integer"]], rows), "-n");
    for (let at = 1; at < found.length; at += 1) {
      const [one, two] = [found[at - 1]!, found[at]!];
      expect(one % 3 > two % 3 || (one % 3 === two % 3 && one < two)).toBe(true);
    }
  });
});

test("columns are as wide as their values, within limits", () => {
  const found = widths(table([["n", "integer"], ["text", "string"], ["a_long_name", "string"]], [[1, "x".repeat(500), "y"]]));
  expect(found).toEqual([6, 72, 14]);
});

test("a table as CSV", () => {
  const made = table([["a,b", "string"], ["n", "integer"]], [['say "x"', 1], [null, 2], ["two\nlines", 3]]);
  const formulas = table([["a", "string"], ["n", "integer"]], [['=HYPERLINK("x")', -3], ["-1", 2], ["a=b", 1]]);
  expect(csv(formulas, [0, 1, 2])).toBe('a,n\r\n"\'=HYPERLINK(""x"")",-3\r\n\'-1,2\r\na=b,1\r\n');
  expect(csv(made, [2, 0, 1])).toBe('"a,b",n\r\n"two\nlines",3\r\n"say ""x""",1\r\n,2\r\n');
});

test("what is a table", () => {
  expect(isTable(table([], []))).toBe(true);
  expect(isTable({ records: [] })).toBe(false);
});

describe("a timechart pipe", () => {
  test.each([
    ["* | timechart 1m", { widthMs: 60_000, functions: [], groups: 0 }],
    ["* | timechart 1m by level", { widthMs: 60_000, functions: [], groups: 1 }],
    [
      "a | timechart 5m count(), count_if(a | b) as x, p95(duration_ms) by source, level | sort -count",
      { widthMs: 300_000, functions: ["count()", "count_if(a | b) as x", "p95(duration_ms)"], groups: 2 },
    ],
    ['"| timechart 1m"', null],
    ["* | stats count()", null],
    ["* | timechart soon", null],
    ["* | timechart 1m | fields timestamp, count", null],
  ])("%s", (query, expected) => {
    expect(timechartOf(query)).toEqual(expected);
  });
});

describe("series", () => {
  const minute = 60_000;
  const start = Date.parse("2026-01-01T00:00:00Z");
  const pipe = timechartOf("* | timechart 1m count(), p95(ms) by source")!;
  const time = (at: number) => new Date(start + at * minute).toISOString();
  const rows = [
    [time(0), "a", 3, 10],
    [time(0), "b", 5, 20],
    [time(2), "a", 4, null],
    [time(2), null, 1, 7],
  ];
  const made = table([["timestamp", "time"], ["source", "string"], ["count", "integer"], ["p95(ms)", "number"]], rows);

  test("counts are stacked, their sum is that of the table", () => {
    expect(measures(made, pipe)).toEqual(["count", "p95(ms)"]);
    const { bars, isStacked, others } = timeSeries(made, pipe, "count", start, start + 4 * minute)!;
    expect(isStacked).toBe(true);
    expect(others).toBe(0);
    expect(bars.times).toEqual([0, 1, 2, 3].map((at) => start + at * minute));
    expect(bars.series).toEqual([
      { key: "a", counts: [3, 0, 4, 0], total: 7 },
      { key: "b", counts: [5, 0, 0, 0], total: 5 },
      { key: "none", counts: [0, 0, 1, 0], total: 1 },
    ]);
    expect(bars.totals).toEqual([8, 0, 5, 0]);
    expect(bars.total).toBe(13);
  });
  test("quantiles are lines with gaps", () => {
    const { bars, isStacked } = timeSeries(made, pipe, "p95(ms)", start, start + 3 * minute)!;
    expect(isStacked).toBe(false);
    expect(bars.series.map(({ key, counts }) => [key, counts])).toEqual([
      ["a", [10, NaN, NaN]],
      ["b", [20, NaN, NaN]],
      ["none", [NaN, NaN, 7]],
    ]);
  });
  test("sums are missing where nothing was summed, and zero where it was", () => {
    const summed = timechartOf("* | timechart 1m sum(x) by source")!;
    const columns: [string, string][] = [["timestamp", "time"], ["source", "string"], ["sum(x)", "number"]];
    const of = (rows: unknown[][]) => timeSeries(table(columns, rows), summed, "sum(x)", start, start + 3 * minute)!;
    const { bars, isStacked, isCounted } = of([[time(0), "a", 0], [time(1), "a", null], [time(0), "b", 2.5]]);
    expect([isStacked, isCounted]).toEqual([true, false]);
    expect(bars.series.map(({ key, counts }) => [key, counts])).toEqual([
      ["b", [2.5, NaN, NaN]],
      ["a", [0, NaN, NaN]],
    ]);
    expect(bars.totals).toEqual([2.5, 0, 0]);
    // What is below zero cannot stand on anything.
    expect(of([[time(0), "a", 3], [time(1), "b", -1]]).isStacked).toBe(false);
    expect(of([[time(0), "a", 3], [time(1), "b", 0]]).isStacked).toBe(true);
  });
  test("the rest of the sums is missing where all of it is", () => {
    const summed = timechartOf("* | timechart 1m sum(x) by source")!;
    const columns: [string, string][] = [["timestamp", "time"], ["source", "string"], ["sum(x)", "number"]];
    const rows = Array.from({ length: 10 }, (_, at) => [time(at === 9 ? 1 : 0), `s${at}`, 20 - at]);
    const { bars } = timeSeries(table(columns, rows), summed, "sum(x)", start, start + 3 * minute)!;
    expect(bars.series.at(-1)).toEqual({ key: "other", counts: [12, 11, NaN], total: 23 });
  });
  test("series at and past the limit", () => {
    const groups = (length: number) =>
      table(made.columns.slice(0, 3).map(({ name, type }) => [name, type]), Array.from({ length }, (_, at) => [time(0), `s${at}`, 100 - at]));
    const counted = timechartOf("* | timechart 1m by source")!;
    const at = (length: number) => timeSeries(groups(length), counted, "count", start, start + minute)!;
    expect([at(8).bars.series.length, at(8).others]).toEqual([8, 0]);
    const past = at(10);
    expect(past.bars.series.map(({ key }) => key)).toEqual(["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "other"]);
    expect(past.others).toBe(2);
    expect(past.bars.total).toBe(Array.from({ length: 10 }, (_, one) => 100 - one).reduce((sum, one) => sum + one));
  });
  test("groups that are called alike are series of their own", () => {
    const counted = timechartOf("* | timechart 1m by a, b")!;
    const columns: [string, string][] = [["timestamp", "time"], ["a", "string"], ["b", "string"], ["count", "integer"]];
    const alike = table(columns, [
      [time(0), null, "x", 9],
      [time(0), "none", "x", 8],
      [time(0), "p · q", "r", 7],
      [time(0), "p", "q · r", 6],
      ...[5, 4, 3, 2, 1].map((n) => [time(0), n === 5 ? "other" : `s${n}`, "", n]),
    ]);
    const { bars } = timeSeries(alike, counted, "count", start, start + minute)!;
    const keys = bars.series.map(({ key }) => key);
    expect(keys.slice(0, 4)).toEqual(["none · x", '["none","x"]', "p · q · r", '["p","q · r"]']);
    expect(new Set(keys).size).toBe(keys.length);
    expect(bars.total).toBe(45);
    expect(bars.series.map(({ total }) => total)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });
  test("a group may be called as the rest is", () => {
    const counted = timechartOf("* | timechart 1m by source")!;
    const columns: [string, string][] = [["timestamp", "time"], ["source", "string"], ["count", "integer"]];
    const nine = table(columns, ["other", ..."abcdefgh"].map((name, at) => [time(0), name, 20 - at]));
    const keys = timeSeries(nine, counted, "count", start, start + minute)!.bars.series.map(({ key }) => key);
    expect(keys).toEqual(["other", ..."abcdefg", "other others"]);
  });
  test("buckets at and past the limit", () => {
    expect(timeSeries(made, pipe, "count", start, start + 5_000 * minute)!.bars.times).toHaveLength(5_000);
    expect(timeSeries(made, pipe, "count", start, start + 5_001 * minute)).toBeNull();
    expect(bucketCount(made, pipe, start, start + 5_001 * minute)).toBe(5_001);
  });
  test("a table that is not one of time has nothing to draw", () => {
    expect(measures(table([["source", "string"], ["count", "integer"]], []), pipe)).toEqual([]);
    expect(timeSeries(table(made.columns.map(({ name, type }) => [name, type]), []), pipe, "count", start, start + minute)!.bars.total).toBe(0);
  });
});
