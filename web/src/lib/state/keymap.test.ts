import { expect, test } from "vitest";
import { COMMANDS, drawnKeys, KeyReader, pressed } from "./keymap";

const none = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test.each([
  [{ key: "j" }, "j"],
  [{ key: "E", shiftKey: true }, "E"],
  [{ key: "?", shiftKey: true }, "?"],
  [{ key: "Enter", shiftKey: true }, "Shift+Enter"],
  [{ key: " " }, "Space"],
  [{ key: "k", ctrlKey: true }, "Mod+K"],
  [{ key: "k", metaKey: true }, "Mod+K"],
  [{ key: "j", altKey: true }, ""],
])("%j", (event, expected) => expect(pressed({ ...none, ...event })).toBe(expected));

test("keys one after the other", () => {
  const reader = new KeyReader(COMMANDS);
  expect(reader.read("g", 0)).toBeNull();
  expect(reader.read("l", 500)).toBe("go.logs");
  expect(reader.read("l", 600)).toBeNull();
  expect(reader.read("g", 1_000)).toBeNull();
  expect(reader.read("j", 2_500)).toBe("row.next");
  expect(reader.read("g", 3_000)).toBeNull();
  expect(reader.read("z", 3_100)).toBeNull();
  expect(reader.read("j", 3_200)).toBe("row.next");
});

test("no two commands share their keys, and no sequence hides a key", () => {
  const keys = COMMANDS.map((command) => command.keys);
  expect(new Set(keys).size).toBe(keys.length);
  const firsts = keys.filter((key) => key.includes(" ")).map((key) => key.split(" ")[0]);
  expect(keys.filter((key) => firsts.includes(key))).toEqual([]);
});

test("drawn", () => {
  expect(drawnKeys("Mod+K", true)).toEqual(["⌘", "K"]);
  expect(drawnKeys("g l", false)).toEqual(["g", "l"]);
  expect(drawnKeys("+", false)).toEqual(["+"]);
});
