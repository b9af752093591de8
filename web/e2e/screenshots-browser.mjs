// Contexts of one theme and width in which somebody is logged in.
import { cookiesOf } from "./browser.mjs";
import { ADMIN } from "./server.mjs";

export const THEMES = ["light", "dark"];
/** Widths that are looked at, with their heights. */
export const WIDTHS = { 1440: 900, 390: 844 };

const cookies = new Map();
/** Cookies of an account at an address, asked for once. */
function cookiesAt(browser, base, account) {
  const key = `${base} ${account.name}`;
  if (!cookies.has(key)) cookies.set(key, cookiesOf(browser, { base }, account));
  return cookies.get(key);
}

/** `account: null`: nobody is logged in. */
export async function contextOf(browser, base, { theme = "light", width = 1440, account = ADMIN, preferences = {} } = {}) {
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
    storageState: { cookies: account ? await cookiesAt(browser, base, account) : [], origins: [] },
  });
  await context.addInitScript(
    (stored) => localStorage.getItem("taffrail.preferences") ?? localStorage.setItem("taffrail.preferences", stored),
    JSON.stringify({ theme, ...preferences }),
  );
  return context;
}
