import { describe, expect, test } from "vitest";
import { DEFAULT_VIEW, isStep, parseLogs, printLogs, type LogsView } from "./url";

const parse = (text: string) => parseLogs(new URLSearchParams(text));

describe("print and parse", () => {
  const cases: [string, Partial<LogsView>][] = [
    ["", {}],
    ["?q=level:error+source:figma", { query: "level:error source:figma" }],
    ["?q=a%26b%3Dc+%2B%23%25", { query: "a&b=c +#%" }],
    ["?from=now-15m", { range: { from: "now-15m", to: "now" } }],
    [
      "?from=2026-01-04T14:00:00.000Z&to=2026-01-04T15:00:00.000Z",
      { range: { from: "2026-01-04T14:00:00.000Z", to: "2026-01-04T15:00:00.000Z" } },
    ],
    ["?scope=app.backend,instance.*", { streams: ["app.backend", "instance.*"] }],
    ["?cols=ts,msg,context.agent_id", { columns: ["timestamp", "message", "context.agent_id"] }],
    ["?q=*+%7C+top+level&by=-count", { query: "* | top level", by: "-count" }],
    ["?at=2026-01-04T14:00:00.000Z", { at: "2026-01-04T14:00:00.000Z" }],
    ["?sort=asc&mode=patterns&row=0198-aa&wrap=1&live=1&view=7",
      { sort: "asc", mode: "patterns", row: "0198-aa", isWrapped: true, isLive: true, view: "7" }],
  ];
  test.each(cases)("%s", (text, part) => {
    const view = { ...DEFAULT_VIEW, ...part };
    expect(printLogs(view)).toBe(text);
    expect(parse(text)).toEqual(view);
  });

  test("random views come back as they were", () => {
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    const letters = ["a", "é", " ", ",", "%", "&", "=", "+", "#", "?", '"', "\\", ":", "/", "日", "😀", "%2C"];
    const word = () => Array.from({ length: 1 + random(8) }, () => letters[random(letters.length)]).join("");
    for (let round = 0; round < 500; round++) {
      const view: LogsView = {
        query: word(),
        range: { from: `now-${1 + random(90)}h`, to: random(2) ? "now" : "now-5m" },
        streams: Array.from({ length: random(3) }, word),
        columns: [...new Set(Array.from({ length: 1 + random(5) }, () => `f${word()}`))],
        sort: random(2) ? "asc" : "desc",
        by: random(2) ? `-${word()}` : "",
        mode: random(2) ? "list" : "patterns",
        at: random(2) ? new Date(random(2_000_000_000) * 1_000).toISOString() : null,
        row: random(2) ? word() : null,
        isWrapped: random(2) === 1,
        isLive: random(2) === 1,
        view: random(2) ? word() : null,
      };
      expect(parse(printLogs(view))).toEqual(view);
    }
  });
});

test.each(["?from=never", "?from=now&to=now-1h", "?sort=up&mode=x&wrap=yes&live=2", "?cols=,,", "?row=&view=", "?at=then", "?at=now-1h"])(
  "%s is the default view",
  (text) => expect(parse(text)).toEqual(DEFAULT_VIEW),
);

test("back undoes query, time, scope and row", () => {
  const is = (part: Partial<LogsView>) => isStep(DEFAULT_VIEW, { ...DEFAULT_VIEW, ...part });
  expect(is({ query: "a" })).toBe(true);
  expect(is({ range: { from: "now-5m", to: "now" } })).toBe(true);
  expect(is({ row: "1" })).toBe(true);
  expect(is({ at: "2026-01-04T14:00:00.000Z" })).toBe(true);
  expect(is({ streams: ["a"] })).toBe(true);
  expect(is({ isWrapped: true, isLive: true, sort: "asc", columns: ["a"], mode: "patterns" })).toBe(false);
});
