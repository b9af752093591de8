import { expect, test } from "vitest";
import { NumberText, parseJson } from "./json";

const hasSource = (() => {
  let source: unknown;
  JSON.parse("1", ((_k: string, v: unknown, c?: { source?: string }) => ((source = c?.source), v)) as never);
  return source === "1";
})();

test.each(["1.50", "9007199254740993", "2e2", "-0", "0.10"])("%s keeps its digits", (digits) => {
  const parsed = parseJson(`{"a":[${digits}]}`) as { a: unknown[] };
  if (hasSource) expect(String(parsed.a[0])).toBe(digits);
  expect(Number(parsed.a[0])).toBe(Number(digits));
});

test.each(["1", "-17", "0.5", "1500"])("%s is a plain number", (digits) => {
  expect((parseJson(`[${digits}]`) as unknown[])[0]).toBe(Number(digits));
});

test("text is left alone", () => {
  expect(parseJson('{"a":"1.50","b":null,"c":true}')).toEqual({ a: "1.50", b: null, c: true });
  expect(new NumberText("1.50").valueOf()).toBe(1.5);
});
