import { describe, expect, test } from "vitest";
import { lengthLabel, momentOf, parseRange, parseTime, printTime, rangeAround, rangeLabel, resolveRange, shiftRange, typedTime, zoomRange } from "./time";

const now = new Date(2026, 0, 4, 14, 30, 15, 250).getTime();
const local = (...parts: [number, number, number, number?, number?, number?]) =>
  printTime(new Date(parts[0], parts[1] - 1, parts[2], parts[3] ?? 0, parts[4] ?? 0, parts[5] ?? 0).getTime());

describe("a time", () => {
  test.each([
    ["now", "now"],
    ["now-15m", "now-15m"],
    [" NOW - 2 hours ", "now-2h"],
    ["1h ago", "now-1h"],
    ["an hour ago", "now-1h"],
    ["3 days ago", "now-3d"],
    ["today", local(2026, 1, 4)],
    ["yesterday", local(2026, 1, 3)],
    ["yesterday 09:05", local(2026, 1, 3, 9, 5)],
    ["8:00", local(2026, 1, 4, 8)],
    ["2026-01-02", local(2026, 1, 2)],
    ["2026-01-02 03:04:05", local(2026, 1, 2, 3, 4, 5)],
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
    ["2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"],
    ["1767322800", "2026-01-02T03:00:00.000Z"],
    ["1767322800000", "2026-01-02T03:00:00.000Z"],
  ])("%s", (text, expected) => {
    expect(parseTime(text, now)).toBe(expected);
    expect(parseTime(expected, now)).toBe(expected);
  });
  test.each(["", "later", "now-", "now-5x", "2026-02-31", "2026-01-02 25:00", "25:00", "5", "1 fortnight ago"])(
    "%j is none",
    (text) => expect(parseTime(text, now)).toBeNull(),
  );
});

describe("a range", () => {
  test.each([
    ["15m", "now-15m", "now"],
    ["last 2 hours", "now-2h", "now"],
    ["past day", "now-1d", "now"],
    ["last hour", "now-1h", "now"],
    ["now-3h to now-1h", "now-3h", "now-1h"],
    ["yesterday", local(2026, 1, 3), local(2026, 1, 4)],
    ["today", local(2026, 1, 4), "now"],
    ["2026-01-02 .. 2026-01-03", local(2026, 1, 2), local(2026, 1, 3)],
    ["09:00 - 10:00", local(2026, 1, 4, 9), local(2026, 1, 4, 10)],
    ["now-30m", "now-30m", "now"],
  ])("%s", (text, from, to) => expect(parseRange(text, now)).toEqual({ from, to }));
  test.each(["", "soon", "10:00 - 09:00", "now to now-1h", "0m", "2027-01-01"])("%j is none", (text) =>
    expect(parseRange(text, now)).toBeNull(),
  );
});

test("ranges move by half of themselves, never into the future", () => {
  const hour = { from: "2026-01-04T10:00:00.000Z", to: "2026-01-04T11:00:00.000Z" };
  const at = Date.parse("2026-01-04T11:10:00.000Z");
  expect(shiftRange(hour, -1, at)).toEqual({ from: "2026-01-04T09:30:00.000Z", to: "2026-01-04T10:30:00.000Z" });
  expect(shiftRange(hour, 1, at)).toEqual({ from: "2026-01-04T10:10:00.000Z", to: "2026-01-04T11:10:00.000Z" });
});

test("zoom keeps a live range live", () => {
  expect(zoomRange({ from: "now-1h", to: "now" }, 2, now)).toEqual({ from: "now-2h", to: "now" });
  expect(zoomRange({ from: "now-1h", to: "now" }, 0.5, now)).toEqual({ from: "now-30m", to: "now" });
  const hour = { from: "2026-01-04T10:00:00.000Z", to: "2026-01-04T11:00:00.000Z" };
  expect(zoomRange(hour, 0.5, Date.parse("2026-01-05T00:00:00Z"))).toEqual({
    from: "2026-01-04T10:15:00.000Z",
    to: "2026-01-04T10:45:00.000Z",
  });
});

test("a range around a moment keeps its length and ends by now", () => {
  const hour = { from: "2026-01-04T10:00:00.000Z", to: "2026-01-04T11:00:00.000Z" };
  const late = Date.parse("2026-01-05T00:00:00Z");
  expect(rangeAround(hour, Date.parse("2026-01-03T12:00:00Z"), late)).toEqual({
    from: "2026-01-03T11:30:00.000Z",
    to: "2026-01-03T12:30:00.000Z",
  });
  expect(rangeAround(hour, late - 60_000, late).to).toBe(printTime(late));
  expect(momentOf("10m ago", late)).toBe(late - 600_000);
  expect(momentOf("soon", late)).toBeNull();
});

test("what cannot be read is the last hour", () => {
  expect(resolveRange({ from: "x", to: "now" }, now)).toEqual({ start: now - 3_600_000, end: now });
});

test("labels", () => {
  expect(rangeLabel({ from: "now-1h", to: "now" }, now)).toBe("Last 1 hour");
  expect(rangeLabel({ from: "now-45m", to: "now" }, now)).toBe("Last 45 minutes");
  expect(rangeLabel({ from: local(2026, 1, 4, 9), to: local(2026, 1, 4, 10, 30) }, now)).toBe("09:00 to 10:30");
  expect(rangeLabel({ from: local(2026, 1, 2, 9), to: "now" }, now)).toBe("2026-01-02 09:00 to now");
  expect(typedTime(local(2026, 1, 2, 9, 5))).toBe("2026-01-02 09:05");
  expect(typedTime("now-1h")).toBe("now-1h");
  expect(lengthLabel(250)).toBe("250 ms");
  expect(lengthLabel(3_900_000)).toBe("1 h 5 min");
});
