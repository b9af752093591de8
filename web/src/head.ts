// What runs in the page's head, before any other code is here: how the page looks, so that nothing
// flashes, and what is asked first, so that the server answers while the code is still on its way.
//
// Invariants
// - It asks the very questions that the code will ask (question.ts): who is logged in, and the first
//   page of the list. What turns out to be another question is asked anew.
// - Nothing here waits, and nothing that fails here is told: the code asks again, and tells.
//
// The build puts it into index.html as it is (`headScript` in vite.config.ts), so it stays small.
import type { FirstSearch } from "$api/first";
import { hasPipes } from "$lib/query/terms";
import { applyLook, KEY, readStored, type Stored } from "$lib/state/stored";
import { parseLogs } from "$lib/state/url";
import { pageOf, undated, type Wanted } from "./routes/logs/question";
import { columnsOf } from "./routes/logs/records";

const HEADERS = { "X-Requested-With": "taffrail" };

function stored(): Stored {
  try {
    return readStored(localStorage.getItem(KEY));
  } catch {
    // Storage is forbidden.
    return readStored(null);
  }
}

/** What the list is asked for first; `null` where the page begins with something else. */
function wantedAt({ pathname, search }: Location, preferences: Stored): Wanted | null {
  if (pathname !== "/" && pathname !== "/logs") return null;
  const parameters = new URLSearchParams(search);
  const { query, streams, range, sort, at, isLive, columns } = parseLogs(parameters);
  if (isLive || at !== null || hasPipes(query)) return null;
  const chosen = parameters.has("cols") ? columns : preferences.columns;
  const isNarrow = matchMedia("(max-width: 640px)").matches;
  return { query, streams, range, order: sort, at: null, columns: columnsOf(chosen, isNarrow) };
}

function search(wanted: Wanted, limit: number): FirstSearch {
  const now = Date.now();
  const request = new AbortController();
  const body = JSON.stringify(pageOf(undated(wanted, now), { order: wanted.order }, wanted.columns, limit, null));
  const headers = { ...HEADERS, "content-type": "application/json" };
  const response = fetch("/api/v1/search", { method: "POST", headers, body, signal: request.signal });
  response.catch(() => {});
  return { now, sent: { body, response, giveUp: () => request.abort() } };
}

const preferences = stored();
applyLook(document.documentElement, preferences, matchMedia("(prefers-color-scheme: dark)").matches);
const session = fetch("/api/v1/sessions/current", { headers: HEADERS });
session.catch(() => {});
globalThis.firstSession = session;
const wanted = wantedAt(location, preferences);
if (wanted) globalThis.firstSearch = search(wanted, preferences.pageRecords);
