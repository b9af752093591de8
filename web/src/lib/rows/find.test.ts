import { describe, expect, it, test } from "vitest";
import { NumberText } from "$api/json";
import { nextFound, rowsWith } from "./find";

const records: Record<string, unknown>[] = [
  { message: "Timeout in figma", source: "gw" },
  { message: "ok", source: "TIMEOUT" },
  { message: "ok", context: { step: "timeout" } },
  { source: "gw", duration_ms: new NumberText("1.50") },
];
const rows = { length: records.length, at: (index: number) => records[index] };

describe("rowsWith", () => {
  const cases: [text: string, columns: string[], found: number[]][] = [
    ["timeout", ["message"], [0]],
    ["TimeOut", ["message", "source"], [0, 1]],
    ["timeout", ["message", "source", "context"], [0, 1, 2]],
    ["1.50", ["duration_ms"], [3]],
    ["", ["message"], []],
    ["absent", ["message", "source"], []],
  ];
  test.each(cases)("%s in %s", (text, columns, found) => expect(rowsWith(rows, columns, text)).toEqual(found));
});

describe("nextFound", () => {
  const cases: [found: number[], from: number | null, step: 1 | -1, next: number | null][] = [
    [[3, 7, 9], null, 1, 0],
    [[3, 7, 9], 3, 1, 1],
    [[3, 7, 9], 9, 1, 0],
    [[3, 7, 9], null, -1, 2],
    [[3, 7, 9], 7, -1, 0],
    [[3, 7, 9], 3, -1, 2],
    [[3, 7, 9], 5, -1, 0],
  ];
  test.each(cases)("%j from %s by %s", (found, from, step, next) => expect(nextFound(found, from, step)).toBe(next));
  it("finds none in nothing", () => expect(nextFound([], 3, 1)).toBeNull());
});
