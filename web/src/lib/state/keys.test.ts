// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test } from "vitest";
import { onCommands, runCommand, startKeys } from "./keys.svelte";
import { preferences } from "./preferences.svelte";

let stops: (() => void)[] = [];
let heard: string[] = [];
const listen = (...ids: string[]) =>
  stops.push(onCommands(Object.fromEntries(ids.map((id) => [id, () => void heard.push(id)]))));
const press = (key: string, target: Element = document.body, modifiers: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...modifiers });
  target.dispatchEvent(event);
  return event.defaultPrevented;
};
const element = (html: string) => {
  document.body.innerHTML = html;
  return document.body.querySelector("[data-here]")!;
};

beforeEach(() => {
  heard = [];
  preferences.set({ areKeysOn: true });
  stops = [startKeys()];
});
afterEach(() => {
  stops.forEach((stop) => stop());
  document.body.innerHTML = "";
});

test("a key runs its command and nothing else happens", () => {
  listen("row.next");
  expect(press("j")).toBe(true);
  expect(press("q")).toBe(false);
  expect(heard).toEqual(["row.next"]);
});

test.each([
  ["an input", "<input data-here>"],
  ["a text area", "<textarea data-here></textarea>"],
  ["the editor", '<div class="cm-editor"><div data-here contenteditable="true"></div></div>'],
  ["a dialog", '<div role="dialog"><button data-here></button></div>'],
  ["a menu", '<div role="menu"><div data-here></div></div>'],
])("single keys are inert in %s", (_, html) => {
  listen("row.next");
  expect(press("j", element(html))).toBe(false);
  expect(heard).toEqual([]);
});

test("Ctrl and ⌘ work in an input, but not in a dialog", () => {
  listen("palette");
  press("k", element("<input data-here>"), { ctrlKey: true });
  press("k", element("<input data-here>"), { metaKey: true });
  press("k", element('<div role="dialog"><input data-here></div>'), { ctrlKey: true });
  expect(heard).toEqual(["palette", "palette"]);
});

test("Enter and Space belong to a focused button", () => {
  listen("row.open", "pause");
  const button = element("<button data-here></button>");
  expect([press("Enter", button), press(" ", button), press("Enter")]).toEqual([false, false, true]);
});

test("switched off, single keys do nothing and Escape still closes", () => {
  listen("row.next", "close", "palette");
  preferences.set({ areKeysOn: false });
  press("j");
  press("Escape");
  press("k", document.body, { ctrlKey: true });
  expect(heard).toEqual(["close", "palette"]);
});

test("the latest listener is asked first and may pass the key on", () => {
  listen("close");
  let isOpen = true;
  stops.push(onCommands({ close: () => (isOpen ? void (isOpen = false) : false) }));
  press("Escape");
  expect([isOpen, heard.length]).toEqual([false, 0]);
  press("Escape");
  expect(heard).toEqual(["close"]);
});

test("who stopped listening is not asked", () => {
  const stop = onCommands({ help: () => void heard.push("help") });
  stop();
  expect([runCommand("help"), heard.length]).toEqual([false, 0]);
});
