import { expect, test } from "vitest";
import { mergeProperties } from "./merge";

test("both handlers are called, the later value holds", () => {
  const calls: string[] = [];
  const merged = mergeProperties(
    { onclick: () => calls.push("first"), title: "a", id: "x" },
    { onclick: () => calls.push("second"), title: "b", onfocus: () => calls.push("focus") },
  );
  (merged.onclick as (event: Event) => void)(new Event("click"));
  (merged.onfocus as () => void)();
  expect(calls).toEqual(["first", "second", "focus"]);
  expect([merged.title, merged.id]).toEqual(["b", "x"]);
});
