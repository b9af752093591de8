// Chromium, and a person in it: what is seen and done on the page, in a person's words.
//
// A page error, a refusal by the content security policy or a failed request that no journey has
// announced fails the journey, whatever else it looks at.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { until } from "./wait.mjs";

const PROGRAM = process.env.TAFFRAIL_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Longest wait for anything on a page: machines of tests are slow. */
export const PATIENCE_MS = 20_000;

function program() {
  if (existsSync(PROGRAM)) return PROGRAM;
  throw new Error(`no Chromium at ${PROGRAM}: install the package chromium, or name one in TAFFRAIL_CHROMIUM`);
}

export function launch() {
  return chromium.launch({ executablePath: program(), headless: true, args: FLAGS });
}

/** A browser whose own profile is this folder, for programs that drive it from outside. */
export function launchProfile(folder, flags) {
  return chromium.launchPersistentContext(folder, { executablePath: program(), headless: true, args: [...FLAGS, ...flags] });
}

/** A fresh profile; with `cookies` of somebody who is logged in. */
export async function person(browser, server, { cookies = [], width = 1440, height = 900 } = {}) {
  const context = await browser.newContext({
    baseURL: server.base,
    viewport: { width, height },
    timezoneId: "UTC",
    locale: "en-GB",
    permissions: ["clipboard-read", "clipboard-write"],
    storageState: { cookies, origins: [] },
  });
  context.setDefaultTimeout(PATIENCE_MS);
  // Where a refusal of the content security policy came from, which its message does not say.
  await context.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber, columnNumber }) =>
      console.error(`refused by the content security policy: ${violatedDirective} ${blockedURI} ${sourceFile}:${lineNumber}:${columnNumber}`),
    ),
  );
  const page = await context.newPage();
  return new Person(context, page);
}

export class Person {
  /** What went wrong on the page without being asked for. */
  troubles = [];
  #expected = [];

  constructor(context, page) {
    this.context = context;
    this.page = page;
    page.on("pageerror", (error) => this.troubles.push(`page error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() !== "error" || this.#expected.some((pattern) => pattern.test(message.text()))) return;
      this.troubles.push(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("dialog", (dialog) => {
      this.troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  /** Errors in the console that this journey causes on purpose. */
  expects(...patterns) {
    this.#expected.push(...patterns);
  }

  async close() {
    await this.context.close();
  }

  // Addresses
  async go(path) {
    await this.page.goto(path);
  }
  /** Parameters of the address. */
  get address() {
    return Object.fromEntries(new URL(this.page.url()).searchParams);
  }
  addressBecomes(what, holds) {
    return until(`the address has ${what}: ${this.page.url()}`, PATIENCE_MS, () => holds(this.address));
  }

  // Waiting
  until(what, look, limitMs = PATIENCE_MS) {
    return until(what, limitMs, look);
  }
  /** Waits for what is seen. */
  async sees(locator) {
    await (typeof locator === "string" || locator instanceof RegExp ? this.page.getByText(locator).first() : locator).waitFor();
  }
  /** List, histogram and facets have answered the question of the address. */
  async settled() {
    // The editor comes to who is about to type.
    await this.page.evaluate(() => document.querySelector("form.query .box")?.dispatchEvent(new PointerEvent("pointerenter")));
    await this.page.waitForFunction(
      () =>
        document.querySelector(".toolbar .count b, section[aria-label='Records'] [role=alert]") !== null &&
        document.querySelector("[role=grid][aria-busy=true], .logs .skeleton, .logs .stale, .logs .spinner, .histogram-room, .fields-room") === null,
      null,
      { timeout: 60_000 },
    );
  }
  async logs(path = "/logs") {
    await this.go(path);
    await this.settled();
  }

  // The Logs screen
  get grid() {
    return this.page.getByRole("grid");
  }
  get rows() {
    return this.page.locator("[role=grid] .row");
  }
  get panel() {
    return this.page.getByRole("complementary", { name: "Record" });
  }
  /** A button (or what looks like one) by its name. */
  button(name, within = this.page) {
    return within.getByRole("button", { name, exact: typeof name === "string" });
  }
  tab(name) {
    return this.page.getByRole("tab", { name, exact: true });
  }
  /** Texts of the rows in the document. */
  rowTexts() {
    return this.rows.evaluateAll((rows) => rows.map((row) => row.textContent));
  }
  /** The number in "call N" of each row: which of the generated records it is. */
  async calls() {
    return (await this.rowTexts()).map((text) => Number(/call (\d+)/.exec(text)?.[1] ?? NaN));
  }
  /** What the toolbar says that was found. */
  async total() {
    return Number((await this.page.locator(".toolbar .count b").innerText()).replaceAll(",", ""));
  }
  /** The hidden table of the histogram, summed. */
  async bars() {
    // It comes a moment after the chart.
    await this.page.locator("figure.chart table").waitFor({ state: "attached" });
    const cells = await this.page.locator("figure.chart table td").evaluateAll((all) => all.map((cell) => Number(cell.textContent)));
    return cells.reduce((sum, value) => sum + value, 0);
  }
  facet(field) {
    return this.page.getByRole("complementary", { name: "Fields" }).getByRole("region", { name: field, exact: true });
  }
  /** Values of a facet with their counts as they are written out (`title`). */
  async facetCounts(field) {
    const entries = await this.facet(field)
      .locator("li:not(.none)")
      .evaluateAll((all) => all.map((one) => [one.querySelector(".value")?.textContent.trim(), one.querySelector(".number")?.title]));
    return new Map(entries.map(([value, count]) => [value, Number(count.replaceAll(",", ""))]));
  }
  /** The query editor, once it has loaded. */
  get query() {
    return this.page.locator(".cm-content[aria-label=Query]");
  }
  async search(text) {
    await this.query.click();
    await this.page.keyboard.press("ControlOrMeta+A");
    // As one insertion: completion must not answer in the middle of it.
    await (text === "" ? this.page.keyboard.press("Delete") : this.page.keyboard.insertText(text));
    await this.page.keyboard.press("Escape");
    await this.button("Search").click();
    await this.addressBecomes(text, ({ q = "" }) => q === text.trim());
    await this.settled();
  }
  async clipboard() {
    return this.page.evaluate(() => navigator.clipboard.readText());
  }
  press(...keys) {
    return keys.reduce((before, key) => before.then(() => this.page.keyboard.press(key)), Promise.resolve());
  }

  /** Fails for what went wrong unasked. */
  check() {
    assert.deepEqual(this.troubles, []);
  }
}

/** Logs somebody in over the API and gives their cookies, so that not every journey types a password. */
export async function cookiesOf(browser, server, { name, password }) {
  const context = await browser.newContext({ baseURL: server.base });
  const answer = await context.request.post("/api/v1/sessions", {
    data: { name, password },
    headers: { "X-Requested-With": "taffrail" },
  });
  assert.equal(answer.status(), 200, await answer.text());
  const { cookies } = await context.storageState();
  await context.close();
  return cookies;
}
