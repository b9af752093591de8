// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test } from "vitest";
import { router } from "./router.svelte";

let stop = () => {};
beforeEach(() => {
  router.go("/logs");
  stop = router.start();
});
afterEach(() => stop());

const click = (html: string, modifiers: MouseEventInit = {}) => {
  document.body.innerHTML = html;
  const event = new MouseEvent("click", { bubbles: true, cancelable: true, ...modifiers });
  document.body.querySelector("a")!.dispatchEvent(event);
  return event.defaultPrevented;
};

test("a link of ours keeps the page", () => {
  expect(click('<a href="/instances?from=now-6h">x</a>')).toBe(true);
  expect([router.path, router.search]).toEqual(["/instances", "?from=now-6h"]);
});

test.each([
  ["another site", '<a href="https://example.com/logs">x</a>', {}],
  ["the API", '<a href="/api/v1/openapi.json">x</a>', {}],
  ["its description", '<a href="/docs/api">x</a>', {}],
  ["a new tab", '<a href="/instances" target="_blank">x</a>', {}],
  ["a file", '<a href="/instances" download>x</a>', {}],
  ["Ctrl", '<a href="/instances">x</a>', { ctrlKey: true }],
  ["⌘", '<a href="/instances">x</a>', { metaKey: true }],
  ["the middle button", '<a href="/instances">x</a>', { button: 1 }],
  ["a jump inside the page", '<a href="#screen">x</a>', {}],
])("%s is the browser's", (_, html, modifiers) => {
  addEventListener("click", (event) => event.preventDefault(), { once: true });
  click(html, modifiers);
  expect(router.path).toBe("/logs");
});

test("parameters are set and dropped", () => {
  router.change({ from: "now-6h", scope: "app.*" });
  expect(router.parameters.get("from")).toBe("now-6h");
  router.change({ from: null });
  expect([router.parameters.get("from"), router.parameters.get("scope")]).toEqual([null, "app.*"]);
});

test("the same address makes no second entry in the history", () => {
  const before = history.length;
  router.go("/logs");
  expect(history.length).toBe(before);
});
