// Chromium with pages that are logged in, in one theme and at one width.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { ADMIN } from "./server.mjs";

export const THEMES = ["light", "dark"];
export const WIDTHS = { 1440: 900, 390: 844 };
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The program under test: named, or that of a debug build. */
export function binaryOf(named) {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  const binary = named ?? process.env.TAFFRAIL_BINARY ?? join(target, "debug/taffrail");
  if (!existsSync(binary)) throw new Error(`${binary} is not there: build it with cargo build --package taffrail-cli`);
  return binary;
}

export function launch(words = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb", ...words],
  });
}

/** A browser context; `isIn` logs the administrator in. */
export async function contextOf(browser, base, { theme = "light", width = 1440, isIn = true, account = ADMIN, preferences = {} } = {}) {
  const isPhone = width < 600;
  const context = await browser.newContext({
    baseURL: base,
    viewport: { width, height: WIDTHS[width] ?? 900 },
    hasTouch: isPhone,
    isMobile: isPhone,
    colorScheme: theme,
    reducedMotion: "reduce",
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
  });
  await context.addInitScript(
    (stored) => localStorage.getItem("taffrail.preferences") ?? localStorage.setItem("taffrail.preferences", stored),
    JSON.stringify({ theme, ...preferences }),
  );
  if (isIn) {
    const answer = await context.request.post(`${base}/api/v1/sessions`, { data: account, headers: { "X-Requested-With": "taffrail" } });
    if (!answer.ok()) throw new Error(`log in: ${answer.status()} ${await answer.text()}`);
  }
  return context;
}
