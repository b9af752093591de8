// What the Logs screen shows, as its URL says it: one type, one way to read it, one way to print it.
//
// Invariants
// - `parse(print(x))` is `x`. What a URL says that cannot be is its default, never an error: a link
//   of a newer version still opens.
// - What is at its default is left out of the URL, so links stay short.
// - History is pushed for what a person means by "back" (query, time, scope, row); everything else
//   replaces the entry (`isStep`).
// - No token, no key, no name of a user is ever in it.
import { DEFAULT_RANGE, isForward, parseTime, type TimeRange } from "./time";

export interface LogsView {
  query: string;
  range: TimeRange;
  /** Streams or prefixes with `*`; empty: all that are searched when none is named. */
  streams: string[];
  columns: string[];
  sort: "desc" | "asc";
  /** Column that a table is sorted by, `-` in front for the greatest first; empty: as the query says. */
  by: string;
  mode: "list" | "patterns";
  /** Moment at which the list begins, its range being wider; `null`: at the end that comes first. */
  at: string | null;
  /** Id of the record that is open. */
  row: string | null;
  isWrapped: boolean;
  isLive: boolean;
  /** Id of a saved view. */
  view: string | null;
}

/** Short names of columns in URLs. */
const COLUMN_WORDS: Record<string, string> = { ts: "timestamp", msg: "message" };
const COLUMN_OF: Record<string, string> = { timestamp: "ts", message: "msg" };
export const DEFAULT_COLUMNS = ["timestamp", "level", "source", "message"];
const COLUMNS_MAX = 50;

export const DEFAULT_VIEW: LogsView = {
  query: "",
  range: DEFAULT_RANGE,
  streams: [],
  columns: DEFAULT_COLUMNS,
  sort: "desc",
  by: "",
  mode: "list",
  at: null,
  row: null,
  isWrapped: false,
  isLive: false,
  view: null,
};

const words = (text: string | null) => (text ? text.split(",").filter((word) => word !== "") : []);

/** A name of a field may hold a comma. */
const escapeWord = (word: string) => word.replaceAll("%", "%25").replaceAll(",", "%2C");
function unescapeWord(word: string): string {
  return word.replace(/%(25|2C)/gi, (_, code: string) => (code === "25" ? "%" : ","));
}

export function parseRangeOf(search: URLSearchParams): TimeRange {
  const range = { from: search.get("from") ?? DEFAULT_RANGE.from, to: search.get("to") ?? "now" };
  // Which moment "now" is does not matter for whether both can be read.
  return isForward(range, Date.now()) ? range : DEFAULT_RANGE;
}

/** A moment in its canonical text; what is relative, or none, is no moment. */
function momentIn(text: string | null): string | null {
  const moment = parseTime(text ?? "", 0);
  return moment === null || moment.startsWith("now") ? null : moment;
}

export function parseLogs(search: URLSearchParams): LogsView {
  const columns = [...new Set(words(search.get("cols")).map(unescapeWord))]
    .map((name) => COLUMN_WORDS[name] ?? name)
    .slice(0, COLUMNS_MAX);
  return {
    query: search.get("q") ?? "",
    range: parseRangeOf(search),
    streams: words(search.get("scope")).map(unescapeWord),
    columns: columns.length > 0 ? columns : DEFAULT_COLUMNS,
    sort: search.get("sort") === "asc" ? "asc" : "desc",
    by: search.get("by") ?? "",
    mode: search.get("mode") === "patterns" ? "patterns" : "list",
    at: momentIn(search.get("at")),
    row: search.get("row") || null,
    isWrapped: search.get("wrap") === "1",
    isLive: search.get("live") === "1",
    view: search.get("view") || null,
  };
}

/** The query string, beginning with `?`; empty for the default view. */
export function printLogs(view: LogsView): string {
  const search = new URLSearchParams();
  const put = (name: string, value: string, usual: string) => {
    if (value !== usual) search.set(name, value);
  };
  const columns = (names: string[]) =>
    names.map((name) => escapeWord(COLUMN_OF[name] ?? name)).join(",");
  put("q", view.query, "");
  put("from", view.range.from, DEFAULT_RANGE.from);
  put("to", view.range.to, DEFAULT_RANGE.to);
  put("scope", view.streams.map(escapeWord).join(","), "");
  put("cols", columns(view.columns), columns(DEFAULT_COLUMNS));
  put("sort", view.sort, "desc");
  put("by", view.by, "");
  put("mode", view.mode, "list");
  put("at", view.at ?? "", "");
  put("row", view.row ?? "", "");
  put("wrap", view.isWrapped ? "1" : "0", "0");
  put("live", view.isLive ? "1" : "0", "0");
  put("view", view.view ?? "", "");
  const text = search.toString();
  // Readable links: these need no escape in a query.
  return text === "" ? "" : `?${text.replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/")}`;
}

/** Whether going from one to the other is a step that "back" should undo. */
export function isStep(before: LogsView, after: LogsView): boolean {
  return (
    before.query !== after.query ||
    before.range.from !== after.range.from ||
    before.range.to !== after.range.to ||
    before.streams.join() !== after.streams.join() ||
    before.at !== after.at ||
    before.row !== after.row ||
    before.view !== after.view
  );
}
