import { expect, test } from "vitest";
import { countsOf, matching, type Instance } from "./instances";

const instance = (number: number, id: string, service: string, status: string): Instance => ({
  number, id, service, status, tenant: "default", user_id: `u-${number}`,
  created_at: "2026-01-04T12:00:00Z", changed_at: "2026-01-04T12:00:00Z",
});
const all = [instance(1, "a1", "figma", "active"), instance(2, "b2", "github", "expired"), instance(3, "c3", "figma", "active")];

test.each([
  ["", ["c3", "a1", "b2"]],
  ["figma", ["c3", "a1"]],
  ["FIGMA a1", ["a1"]],
  ["u-2", ["b2"]],
  ["zzz", []],
])("%j", (typed, expected) => expect(matching(all, typed).map((one) => one.id)).toEqual(expected));

test("counts come from the facet", () => {
  const facets = {
    partial: false, took_ms: 1, as_of: "",
    facets: [{ field: "instance_id", distinct: 2, is_estimate: false, values: [{ value: "a1", count: 7 }] }],
  };
  expect(countsOf(facets).get("a1")).toBe(7);
  expect(countsOf(undefined).size).toBe(0);
});
