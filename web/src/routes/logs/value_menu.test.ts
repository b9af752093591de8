import { describe, expect, it } from "vitest";
import type { MenuAction, MenuEntry } from "$lib/ui/menu";
import { fits, groupEntries, stateOf, toggled, type GroupValue } from "./value_menu";

const PIPES = "| stats count() by source";

function menu(query: string, group: GroupValue) {
  const told: string[] = [];
  const entries = groupEntries(query, group, (next) => told.push(next), (text) => told.push(`copy ${text}`));
  const named = entries.filter((one): one is MenuAction => typeof one === "object" && "label" in one);
  return { heading: (entries[0] as Exclude<MenuEntry, "separator" | MenuAction>).heading, named, told };
}

describe("a value of a group", () => {
  it.each<[string, GroupValue, [string, string][]]>([
    [
      `* ${PIPES}`,
      { field: "source", value: "a b" },
      [
        ["Include", `source:="a b" ${PIPES}`],
        ["Exclude", `-source:="a b" ${PIPES}`],
        ["Only this value", `source:="a b" ${PIPES}`],
        ["Copy the value", "copy a b"],
      ],
    ],
    [
      `x source:="a" -source:="b" ${PIPES}`,
      { field: "source", value: "a" },
      [
        ["No longer include", `x -source:="b" ${PIPES}`],
        ["Exclude", `x -source:="b" -source:="a" ${PIPES}`],
        ["Only this value", `x source:="a" ${PIPES}`],
        ["Copy the value", "copy a"],
      ],
    ],
    // The records without the field.
    [
      `x ${PIPES}`,
      { field: "source", value: null },
      [
        ["Include", `x -_exists_:source ${PIPES}`],
        ["Exclude", `x _exists_:source ${PIPES}`],
        ["Only without the field", `x -_exists_:source ${PIPES}`],
      ],
    ],
    [
      `-_exists_:source ${PIPES}`,
      { field: "source", value: null },
      [
        ["No longer include", PIPES],
        ["Exclude", `_exists_:source ${PIPES}`],
        ["Only without the field", `-_exists_:source ${PIPES}`],
      ],
    ],
    [
      `* | stats count() by "a\u202eb;c"`,
      { field: "a\u202eb;c", value: 3 },
      [
        ["Include", `a\\\u202eb\\;c:3 | stats count() by "a\u202eb;c"`],
        ["Exclude", `-a\\\u202eb\\;c:3 | stats count() by "a\u202eb;c"`],
        ["Only this value", `a\\\u202eb\\;c:3 | stats count() by "a\u202eb;c"`],
        ["Copy the value", "copy 3"],
      ],
    ],
  ])("%s and %j", (query, group, expected) => {
    const { named, told } = menu(query, group);
    named.forEach((one) => one.run?.());
    expect(named.map(({ label }, at) => [label, told[at]])).toEqual(expected);
  });

  it("is said by the query", () => {
    expect(stateOf('source:="a"', { field: "source", value: "a" })).toBe("included");
    expect(stateOf('-source:="a"', { field: "source", value: "a" })).toBe("excluded");
    expect(stateOf("_exists_:source", { field: "source", value: null })).toBe("excluded");
    expect(stateOf("-_exists_:source", { field: "source", value: null })).toBe("included");
    expect(toggled("-_exists_:source", { field: "source", value: null }, true)).toBe("_exists_:source");
  });

  it("is named with what would act shown", () => {
    expect(menu(PIPES, { field: "so\u202eurce", value: "<b>\u001b[31mx" }).heading).toBe("so<RLO>urce: <b>x");
    expect(menu(PIPES, { field: "f", value: "" }).heading).toBe("f: (empty)");
    expect(menu(PIPES, { field: "f", value: "x".repeat(61) }).heading).toBe(`f: ${"x".repeat(60)}…`);
  });

  it("is not asked for where the query would be too long", () => {
    // f:="…" and the pipes around it.
    const room = 16_384 - 'f:="" '.length - PIPES.length;
    const disabled = (length: number) => menu(PIPES, { field: "f", value: "x".repeat(length) }).named.map((one) => one.isDisabled ?? false);
    expect(disabled(room)).toEqual([false, true, false, false]);
    expect(disabled(room + 1)).toEqual([true, true, true, false]);
    // What the keys look at: bytes, not characters.
    expect(["x".repeat(16_384), "x".repeat(16_385), "é".repeat(8_192), "é".repeat(8_193)].map(fits)).toEqual([true, false, true, false]);
  });
});
