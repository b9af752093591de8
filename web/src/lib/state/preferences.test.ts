import { expect, test } from "vitest";
import { readStored } from "./preferences.svelte";

const usual = readStored(null);

test.each(["", "{", "7", "[]", '"x"', '{"theme":7,"density":"tiny","columns":[1],"areKeysOn":"no","pageRecords":201,"unknown":1}'])(
  "%s is the defaults",
  (text) => {
    const read = readStored(text) as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(usual)) expect(read[name], name).toEqual(value);
  },
);

test("what fits is taken, the rest is its default", () => {
  const read = readStored('{"theme":"dark","columns":["a"],"detailWidth":500,"pageRecords":50,"density":"x"}');
  expect(read).toEqual({ ...usual, theme: "dark", columns: ["a"], detailWidth: 500, pageRecords: 50 });
});
