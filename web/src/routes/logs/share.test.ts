import { expect, it } from "vitest";
import { curlOf, linkOf } from "./share";

it("makes a command without a token", () => {
  expect(curlOf("http://h:1", "a'b/c")).toBe(
    `curl -H "Authorization: Bearer $TAFFRAIL_TOKEN" 'http://h:1/api/v1/logging/logs/a'\\''b%2Fc'`,
  );
});

it("keeps relative times, or freezes them", () => {
  const now = Date.parse("2026-01-04T12:00:00Z");
  const href = "http://h/logs?q=a&from=now-15m&row=r1&live=1";
  expect(linkOf(href, now, false)).toBe(href);
  const frozen = new URL(linkOf(href, now, true));
  expect(Object.fromEntries(frozen.searchParams)).toEqual({
    q: "a",
    from: "2026-01-04T11:45:00.000Z",
    to: "2026-01-04T12:00:00.000Z",
    row: "r1",
  });
});
