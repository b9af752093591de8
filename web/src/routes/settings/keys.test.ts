import { expect, test } from "vitest";
import { agoText, scopeText, stateOf, type Scope } from "./keys";

const now = Date.parse("2026-01-04T12:00:00Z");

test.each([
  [{ scope: "full" }, "Everything that its account may"],
  [{ scope: "ingest", streams: ["app.*", "security"] }, "Sends to app.*, security"],
  [{ scope: "read", streams: ["app.backend"] }, "Reads app.backend"],
] as [Scope, string][])("%j", (scope, expected) => expect(scopeText(scope)).toBe(expected));

test.each([
  [null, null, "active"],
  [null, "2026-01-04T12:00:01Z", "active"],
  [null, "2026-01-04T12:00:00Z", "expired"],
  ["2026-01-01T00:00:00Z", null, "revoked"],
])("revoked %s, expires %s: %s", (revoked_at, expires_at, expected) =>
  expect(stateOf({ revoked_at, expires_at }, now)).toBe(expected),
);

test.each([
  [null, "never"],
  ["2026-01-04T11:59:30Z", "just now"],
  ["2026-01-04T11:58:00Z", "2 min ago"],
  ["2026-01-04T09:30:00Z", "2 h ago"],
  ["2026-01-01T00:00:00Z", "3 d ago"],
  ["2026-01-05T00:00:00Z", "just now"],
])("%s: %s", (time, expected) => expect(agoText(time, now)).toBe(expected));
