import { expect, test, vi } from "vitest";
import { NumberText, parseJson } from "./json";

const hasSource = (() => {
  let source: unknown;
  JSON.parse("1", ((_k: string, v: unknown, c?: { source?: string }) => ((source = c?.source), v)) as never);
  return source === "1";
})();

test.each(["1.50", "9007199254740993", "-9007199254740993", "2e2", "1.5E+3", "-0", "0.10"])("%s keeps its digits", (digits) => {
  for (const text of [`{"a":[${digits}]}`, `{"a":[ ${digits} ]}`, `{"a":[${digits},"b"]}`, `{"a":{"0": ${digits}\n}}`]) {
    const [value] = Object.values((parseJson(text) as { a: object }).a);
    if (hasSource) expect(String(value)).toBe(digits);
    expect(Number(value)).toBe(Number(digits));
  }
  expect(Number(parseJson(` ${digits} `))).toBe(Number(digits));
});

test.each(["1", "-17", "0.5", "1500"])("%s is a plain number", (digits) => {
  expect((parseJson(`[${digits}]`) as unknown[])[0]).toBe(Number(digits));
});

test("text is left alone", () => {
  expect(parseJson('{"a":"1.50","b":null,"c":true}')).toEqual({ a: "1.50", b: null, c: true });
  expect(new NumberText("1.50").valueOf()).toBe(1.5);
});

test("times and addresses in texts cost nothing", () => {
  const text = '[{"timestamp":"2026-01-04T14:05:00.123456Z","message":"from [10.0.0.1:80], -0 and 1e3 at 12.5%","number":12}]';
  const parse = vi.spyOn(JSON, "parse");
  const parsed = parseJson(text);
  expect(parse.mock.calls).toEqual([[text]]);
  parse.mockRestore();
  expect(parsed).toEqual(JSON.parse(text));
});
