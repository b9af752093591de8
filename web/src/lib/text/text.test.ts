import { describe, expect, it } from "vitest";
import { marks, needles } from "./highlight";
import { LINES_MAX, nested, treeLines } from "./json_tree";
import { bytes, count, shortCount } from "./numbers";
import { plain, spans } from "./spans";
import { duration, fullTime, relative, rowTime } from "./time";

const ESC = "\u001b";

describe("spans", () => {
  it("render colours and nothing else", () => {
    expect(spans(`${ESC}[31mred${ESC}[0m plain`)).toEqual([
      { text: "red", style: { colour: 1 } },
      { text: " plain", style: {} },
    ]);
  });

  it.each([
    ["bright and bold", "[1;92mx", { bold: true, colour: 10 }],
    ["palette", "[38;5;196mx", { colour: "#ff0000" }],
    ["true colour", "[48;2;1;2;300mx", { background: "#0102ff" }],
    ["a reset of one", "[1;31;22mx", { colour: 1 }],
    ["an empty sequence", "[31m" + ESC + "[mx", {}],
  ])("%s", (_name, sequence, style) => {
    expect(spans(ESC + sequence).at(-1)).toEqual({ text: "x", style });
  });

  it.each([
    ["cursor movement", `${ESC}[2J`, "\u241b[2J"],
    ["a title", `${ESC}]0;owned\u0007`, "\u241b]0;owned\u2407"],
    ["a link", `${ESC}]8;;http://evil${ESC}\\`, "\u241b]8;;http://evil\u241b\\"],
    ["a carriage return", "paid\rowed", "paid\u240dowed"],
    ["a null", "a\u0000b", "a\u2400b"],
    ["C1", "a\u009bb", "a<9B>b"],
    ["right-to-left override", "exe.\u202etxt", "exe.<RLO>txt"],
    ["no width", "pay\u200bpal", "pay<ZWSP>pal"],
    ["markup", "<b onclick=x>", "<b onclick=x>"],
    ["tab and line feed", "a\tb\nc", "a\tb\nc"],
    ["an unfinished sequence", `a${ESC}[31`, "a\u241b[31"],
  ])("show %s", (_name, text, shown) => {
    expect(plain(text)).toBe(shown);
  });
});

describe("highlight", () => {
  it.each([
    ['level:error figma "failed to x"', ["figma", "failed to x"]],
    ["-noise NOT other (a OR b)", ["a", "b"]],
    ["message:timeout *cket* | stats count()", ["timeout", "cket"]],
    ["duration_ms:>10 status:[1 TO 2]", []],
    ['"a \\"b\\""', ['a "b"']],
  ])("%s", (query, wanted) => {
    expect(needles(query)).toEqual(wanted);
  });

  it("finds without case and merges what overlaps", () => {
    expect(marks("Timeout after timeouts", ["timeout", "outs"])).toEqual([
      { from: 0, to: 7 },
      { from: 14, to: 22 },
    ]);
  });
});

describe("times", () => {
  it.each([
    [0.34, "340 µs"],
    [0, "0 ms"],
    [12.345, "12.3 ms"],
    [999.7, "1 s"],
    [4210, "4.21 s"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
  ])("%d ms", (milliseconds, shown) => {
    expect(duration(milliseconds)).toBe(shown);
  });

  it("lose no digit", () => {
    expect(fullTime("2026-01-04T12:04:01.221345678Z", "utc")).toBe("2026-01-04 12:04:01.221345678");
    expect(rowTime("2026-01-04T12:04:01Z", "utc")).toBe("12:04:01.000");
    expect(rowTime("2026-01-04T12:04:01.2219Z", "utc", "2026-01-05")).toBe("01-04 12:04:01.221");
    expect(rowTime("2026-01-04T12:04:01+02:00", "utc")).toBe("10:04:01.000");
    expect(fullTime("no time", "utc")).toBe("no time");
  });

  it("are told from now", () => {
    const now = Date.parse("2026-01-04T12:00:00Z");
    expect(relative("2026-01-04T11:59:48Z", now)).toBe("12 s ago");
    expect(relative("2026-01-04T12:03:00Z", now)).toBe("in 3 min");
    expect(relative("2026-01-02T12:00:00Z", now)).toBe("2 d ago");
  });
});

describe("numbers", () => {
  it.each([
    [312, "312"],
    [999, "999"],
    [1284, "1,284"],
    [9_999, "9,999"],
    [12_849, "12.8k"],
    [88_000, "88k"],
    [999_999, "999k"],
    [1_350_000, "1.3M"],
  ])("%d", (value, shown) => {
    expect(shortCount(value)).toBe(shown);
  });

  it("in full", () => {
    const exact = new Intl.NumberFormat("en-US");
    for (const value of [0, 7, 999, 1_000, 1_284, 99_999, 100_000, 1_234_567, 12_345_678_901, -1_000, -12, 0.5, 1_234.567, 1_234.5678, 2 ** 53]) {
      expect(count(value), String(value)).toBe(exact.format(value));
    }
    expect(bytes(340)).toBe("340 B");
    expect(bytes(1 << 20)).toBe("1.0 MiB");
  });
});

describe("the tree", () => {
  it("has a line for each value that can be seen", () => {
    const lines = treeLines({ a: [1, null], "b/c": { d: true } }, (pointer) => pointer !== "/b~1c");
    expect(lines.map(({ depth, name, kind, value }) => [depth, name, kind, value])).toEqual([
      [0, null, "object", "2"],
      [1, "a", "array", "2"],
      [2, "0", "number", "1"],
      [2, "1", "null", "null"],
      [1, "b/c", "object", "1"],
    ]);
  });

  it("is bounded and says what is left out", () => {
    const lines = treeLines(
      Array.from({ length: 20_000 }, (_, index) => index),
      () => true,
    );
    expect(lines).toHaveLength(LINES_MAX + 1);
    expect(lines.at(-1)).toMatchObject({ kind: "more", value: String(20_001 - LINES_MAX) });
  });

  it("takes any depth", () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 4000; depth += 1) value = { a: value };
    expect(treeLines(value, () => true).at(-1)?.depth).toBe(4000);
  });

  it("nests flattened names, whatever is in the way", () => {
    expect(JSON.stringify(nested({ "a.b": 1, "a.c.d": 2, e: 3, "e.f": 4 }))).toBe(
      '{"a":{"b":1,"c":{"d":2}},"e":3,"e.f":4}',
    );
    expect(JSON.stringify(nested({ "e.f": 4, e: 3 }))).toBe('{"e":{"f":4,"":3}}');
    expect(JSON.stringify(nested({ "__proto__.x": 1 }))).toBe('{"__proto__":{"x":1}}');
  });
});
