// A record or a view as a text that is taken elsewhere. Never with a token in it.
import { resolveRange, printTime } from "$lib/state/time";
import { parseLogs, printLogs } from "$lib/state/url";
import type { LogRecord } from "./records";

/** A record as JSON, two blanks a level. */
export function asJson(record: LogRecord): string {
  return JSON.stringify(record, null, 2);
}

/** A command that fetches a record; the token is a placeholder. */
export function curlOf(origin: string, id: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const url = `${origin}/api/v1/logging/logs/${encodeURIComponent(id)}`;
  return `curl -H "Authorization: Bearer $TAFFRAIL_TOKEN" ${quoted(url)}`;
}

/** The address of what is shown; frozen, its relative times become moments. */
export function linkOf(href: string, now: number, isFrozen: boolean): string {
  const url = new URL(href);
  if (!isFrozen || url.pathname !== "/logs") return url.href;
  const view = parseLogs(url.searchParams);
  const { start, end } = resolveRange(view.range, now);
  url.search = printLogs({ ...view, range: { from: printTime(start), to: printTime(end) }, isLive: false });
  return url.href;
}
