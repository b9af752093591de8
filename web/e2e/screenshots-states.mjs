// Every state of the UI that is looked at: how to reach it, and when it is there.
//
// A state opens its address, does what a person does and waits for what must show; it never waits
// for a time. `empty` states are of a server without records.
import { STREAM, USER } from "./screenshots-data.mjs";

const RECORD = 'source:mcp-gateway level:error';

export const ready = async (page) => {
  await page.getByRole("grid").getByRole("row").nth(3).waitFor();
  await page.locator(".histogram canvas").first().waitFor();
  await settled(page);
};

/** Nothing under way and nothing left to be drawn: no skeleton, fonts, editor and tables of charts there. */
export async function settled(page) {
  await page.evaluate(() => document.fonts.ready);
  // As somebody who is about to type.
  await page.evaluate(() => document.querySelector("form.query .box")?.dispatchEvent(new PointerEvent("pointerenter")));
  await page.waitForFunction(
    () =>
      document.querySelector(".skeleton, .stale, .histogram-room, .fields-room, form.query input") === null &&
      [...document.querySelectorAll("figure.chart")].every((chart) => chart.querySelector("table")),
  );
}

const isNarrow = (page) => page.viewportSize().width < 600;
const logs = (query = "", more = "") => `/logs?${query === "" ? "" : `q=${encodeURIComponent(query)}&`}${more}`;

/** The answer of a query with pipes. */
async function answered(page) {
  await page.getByRole("table", { name: "Answer of the query" }).getByRole("row").nth(2).waitFor();
  await page.locator(".histogram canvas").first().waitFor();
  await settled(page);
}

/** Opens the record that fits the question best: in the middle of the incident. */
async function openRecord(page) {
  await ready(page);
  const rows = page.getByRole("grid").getByRole("row");
  await rows.nth(4).click();
  await page.getByRole("tab", { name: "Fields" }).waitFor();
  await settled(page);
}
const tab = (name) => async (page) => {
  await openRecord(page);
  await page.getByRole("tab", { name }).click();
  await settled(page);
  await page.getByRole("tabpanel").locator("li, [role=treeitem]").first().waitFor();
};

/** Answers a path with a problem of the server. */
const failing = (path, status, problem) => (page) =>
  page.route(`**${path}`, (route) =>
    route.fulfill({
      status,
      contentType: "application/problem+json",
      headers: { "x-request-id": "01K9ZQ4T7M" },
      body: JSON.stringify({ type: "urn:taffrail:problem:internal", status, request_id: "01K9ZQ4T7M", ...problem }),
    }),
  );
/** Changes what a path answers. */
const changed = (path, change) => (page) =>
  page.route(`**${path}`, async (route) => {
    try {
      const response = await route.fetch();
      const body = await response.json();
      if (body.data) change(body.data);
      await route.fulfill({ response, json: body });
    } catch {
      // The page has given the request up.
    }
  });
/** Skeletons have come, which they do a moment later than what they stand for is asked for. */
async function skeletonsShown(page) {
  await page.locator(".pad .skeleton").first().waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".skeleton")].every((one) => getComputedStyle(one).opacity === "1"));
}
/** Lets a path wait until the page closes. */
const waiting = (path) => (page) => page.route(`**${path}`, () => {});

const live = async (page) => {
  await page.getByRole("grid", { name: "Live records" }).getByRole("row").nth(5).waitFor();
  await settled(page);
};

/**
 * name, address, `act` to reach it, `before` the page is opened; `isEmpty`: on a server without
 * records; `isOut`: not logged in; `onlyWide`: is the same thing or not there on a phone.
 */
export const STATES = [
  { name: "login", path: "/logs", isOut: true, act: (page) => page.getByLabel("Name").waitFor() },
  {
    name: "login-refused",
    path: "/logs",
    isOut: true,
    act: async (page) => {
      await page.getByLabel("Name").fill("lena");
      await page.getByLabel("Password").fill("not this one");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText("Wrong name or password.").waitFor();
    },
  },
  { name: "logs", path: logs(), act: ready },
  { name: "logs-errors", path: logs("level>=warn source:mcp-gateway"), act: ready },
  { name: "logs-wrapped", path: logs("source:postgres-mcp level:error", "wrap=1"), act: ready },
  { name: "logs-columns", path: logs(RECORD, "cols=ts,level,source,tool.name,http.status,duration_ms,user_id,msg"), act: ready },
  {
    name: "logs-selected",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("grid").focus();
      for (let i = 0; i < 4; i += 1) await page.keyboard.press("j");
    },
  },
  {
    name: "table",
    path: logs("* | stats count(), count_if(level>=error) as errors, p95(duration_ms) by source, tool.name", "by=-errors"),
    act: answered,
  },
  {
    name: "timechart",
    path: logs("* | timechart 1m count(), p95(duration_ms) by source"),
    act: async (page) => {
      await answered(page);
      await page.getByRole("region", { name: "Chart" }).locator("canvas").waitFor();
    },
  },
  {
    name: "timechart-lines",
    path: logs("source:mcp-gateway | timechart 2m p50(duration_ms), p95(duration_ms) by tool.name"),
    act: async (page) => {
      await answered(page);
      const chart = page.getByRole("region", { name: "Chart" });
      await chart.locator("canvas").waitFor();
      await chart.getByText("p95(duration_ms)").click();
      await chart.getByRole("slider").focus();
      for (let at = 0; at < 12; at += 1) await page.keyboard.press("ArrowLeft");
      await chart.locator(".tip").waitFor();
    },
  },
  {
    name: "table-menu",
    path: logs("* | stats count(), count_if(level>=error) as errors, p95(duration_ms) by source, tool.name", "by=-errors"),
    act: async (page) => {
      await answered(page);
      await page.getByRole("button", { name: "mcp-gateway", exact: true }).first().click();
      await page.getByRole("menuitem").first().waitFor();
    },
  },
  { name: "table-records", path: logs("level:error | limit 200 | fields timestamp, level, source, duration_ms, message"), act: answered },
  { name: "detail-fields", path: logs("source:postgres-mcp level:error"), act: openRecord },
  { name: "detail-json", path: logs(RECORD), act: tab("JSON") },
  { name: "detail-context", path: logs(RECORD), act: tab("Context") },
  { name: "detail-trace", path: logs(RECORD), act: tab("Trace") },
  {
    name: "detail-menu",
    path: logs(RECORD),
    act: async (page) => {
      await openRecord(page);
      await page.getByRole("button", { name: "More for duration_ms" }).click();
      await page.getByRole("menuitem").first().waitFor();
    },
  },
  {
    name: "detail-copy",
    path: logs(RECORD),
    act: async (page) => {
      await openRecord(page);
      await page.getByRole("button", { name: "Copy", exact: true }).click();
      await page.getByRole("menuitem").first().waitFor();
    },
  },
  {
    name: "detail-full",
    path: logs(RECORD),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("grid").focus();
      await page.keyboard.press("j");
      await page.keyboard.press("Shift+Enter");
      await page.getByRole("tab", { name: "Fields" }).waitFor();
      await settled(page);
    },
  },
  {
    name: "facet-search",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: "Search in trace_id" }).click();
      await page.getByRole("textbox", { name: "Search in trace_id" }).fill("a0");
      await page.waitForFunction(() => {
        const found = [...document.querySelectorAll("section[aria-label=trace_id] .value")];
        return found.length > 2 && found.every((one) => one.textContent.includes("a0"));
      });
      await settled(page);
    },
  },
  {
    name: "facets-open",
    path: logs(),
    onlyNarrow: true,
    act: async (page) => {
      await ready(page);
      const button = page.getByRole("button", { name: "Show the fields" });
      if (await button.count()) await button.click();
      await page.getByRole("region", { name: "source" }).waitFor();
      await settled(page);
    },
  },
  {
    name: "autocomplete",
    path: logs(),
    act: async (page) => {
      await ready(page);
      await page.locator(".cm-content").click();
      await page.keyboard.type("level:error source:");
      await page.locator(".cm-tooltip-autocomplete li").nth(3).waitFor();
    },
  },
  {
    name: "fault",
    path: logs('level:error AND (source:figma-mcp OR "timed out'),
    act: async (page) => {
      await page.locator(".fault").first().waitFor();
      await page.locator(".cm-lintRange-error").first().waitFor();
    },
  },
  { name: "live", path: logs("", "live=1"), act: live, isLive: true },
  {
    name: "live-paused",
    path: logs("", "live=1"),
    isLive: true,
    act: async (page) => {
      await live(page);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.locator(".paused").getByText(/[1-9]\d* new/).waitFor();
    },
  },
  {
    name: "find",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("grid").focus();
      await page.keyboard.press("Control+f");
      await page.getByLabel("Find in the loaded rows").fill("tools/call");
      await page.locator("mark").first().waitFor();
    },
  },
  { name: "empty-never", path: logs(), isEmpty: true, act: (page) => page.getByText("No records yet").waitFor() },
  {
    name: "empty-never-key",
    path: logs(),
    isEmpty: true,
    act: async (page) => {
      await page.getByRole("button", { name: "Make a key and put it in" }).click();
      await page.getByText("The key is shown this once.").waitFor();
    },
  },
  { name: "empty-range", path: logs("", "from=now-3h&to=now-2h"), act: (page) => page.getByText("No records in this time").waitFor() },
  {
    name: "empty-filters",
    path: logs('level:critical source:figma-mcp tool.name:"postgres.query"'),
    act: (page) => page.getByText("No record matches").waitFor(),
  },
  {
    name: "empty-forbidden",
    path: logs("", "scope=audit.events"),
    account: "lena",
    act: (page) => page.locator(".empty, .error").first().waitFor(),
  },
  {
    name: "error",
    path: logs(),
    before: failing("/api/v1/search", 500, { title: "Internal error", detail: "a segment could not be read: checksum mismatch in block 4" }),
    act: (page) => page.locator(".error").first().waitFor(),
  },
  {
    name: "error-histogram",
    path: logs(),
    before: failing("/api/v1/histogram", 503, { title: "Busy", detail: "the server has too many searches under way" }),
    act: (page) => page.locator(".histogram .error").waitFor(),
  },
  {
    name: "partial",
    path: logs(),
    before: changed("/api/v1/search", (data) => Object.assign(data, { partial: true, faults: ["segment 0000019a: checksum mismatch"] })),
    act: async (page) => {
      await ready(page);
      await page.getByText(/checksum mismatch|not complete|incomplete/i).first().waitFor();
    },
  },
  {
    name: "offline",
    path: logs(),
    act: async (page) => {
      await ready(page);
      await page.context().setOffline(true);
      await page.getByRole("button", { name: "Refresh", exact: true }).click();
      await page.getByText(/The server is away|cannot be reached|not reached|offline/i).first().waitFor();
    },
  },
  { name: "loading", path: logs(), before: waiting("/api/v1/search"), act: skeletonsShown },
  {
    name: "slow",
    path: logs(),
    act: async (page) => {
      await ready(page);
      await waiting("/api/v1/{search,histogram,facets}")(page);
      await page.getByRole("button", { name: "Refresh", exact: true }).click();
      await page.getByRole("button", { name: "Cancel" }).first().waitFor();
    },
  },
  {
    name: "palette",
    path: logs(),
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: /Go to or do|palette/ }).click();
      await page.getByRole("listbox", { name: "Actions" }).waitFor();
    },
  },
  {
    name: "help",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "time-picker", path: logs(), act: opened(/^Time range/, "Usual ranges") },
  { name: "scope-picker", path: logs(), act: opened(/^Scope/, null) },
  { name: "columns", path: logs(), act: opened("Columns", null) },
  {
    name: "page-size",
    onlyWide: true,
    path: logs(),
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: /^Records at a time/ }).click();
      await page.getByRole("menu").waitFor();
    },
  },
  {
    name: "dragged",
    onlyWide: true,
    path: logs(),
    act: async (page) => {
      await ready(page);
      await page.locator("[role=grid]").evaluate((grid) => {
        let at = 0;
        setInterval(() => (grid.scrollTop = (at += 1) % 2 ? 1_500 : 3_300), 40);
      });
      await page.locator(".passed").waitFor();
    },
  },
  { name: "jump", path: logs(), act: opened("Jump to a time", null) },
  {
    name: "refresh-menu",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: /^Automatic refresh/ }).click();
      await page.getByRole("menuitem").first().or(page.getByRole("menuitemradio").first()).waitFor();
    },
  },
  {
    name: "account-menu",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: /^Account and appearance/ }).click();
      await page.getByRole("menu").waitFor();
    },
  },
  {
    name: "rail-narrow",
    path: logs(),
    onlyWide: true,
    act: async (page) => {
      await ready(page);
      await page.getByRole("button", { name: "Narrow the navigation" }).click();
    },
  },
  { name: "own-records", path: logs(), account: "lena", act: ready },
  { name: "instances", path: "/instances", act: table },
  { name: "instances-empty", path: "/instances", isEmpty: true, act: (page) => page.getByText("No instances yet").waitFor() },
  {
    name: "instance-new",
    path: "/instances",
    act: async (page) => {
      await table(page);
      await page.getByRole("button", { name: "New instance" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "settings", path: "/settings", act: (page) => page.getByRole("heading", { name: "API keys" }).waitFor().then(() => settled(page)) },
  {
    name: "key-new",
    path: "/settings",
    act: async (page) => {
      await page.getByRole("button", { name: "New key" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "settings-account", path: "/settings?tab=account", act: (page) => page.getByRole("heading").nth(1).waitFor().then(() => settled(page)) },
  { name: "settings-appearance", path: "/settings?tab=appearance", act: (page) => page.getByRole("heading").nth(1).waitFor() },
  { name: "no-such-page", path: "/nowhere", act: (page) => page.getByText("There is no such page").waitFor() },
];

function opened(button, list) {
  return async (page) => {
    await ready(page);
    await page.getByRole("button", { name: button, exact: typeof button === "string" }).click();
    await page.locator(".ui-popover").waitFor();
    if (list) await page.getByRole("list", { name: list }).waitFor();
  };
}
async function table(page) {
  await page.getByRole("table").getByRole("row").nth(2).waitFor();
  await settled(page);
}

/** Those that are looked at in a width. */
export const statesAt = (width) => STATES.filter((state) => (width < 600 ? !state.onlyWide : !state.onlyNarrow));

/** The person with records of its own alone. */
export const LENA = { name: "lena", password: "pottery under the stairs" };
export async function makePeople(server) {
  await server.post("/api/v1/users", { name: LENA.name, password: LENA.password, role: "user", own_user_ids: [USER] });
}
export { STREAM };
