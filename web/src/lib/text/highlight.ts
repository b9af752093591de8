// Where the words of a query are in a text.
//
// The server decides what matches; this only marks what a reader looks for. Words are compared
// without case, ranges are UTF-16 offsets, in order and never overlapping.

/** A stretch of text, the end not included. */
export interface Range {
  from: number;
  to: number;
}

/** Ranges that are marked in one text: past it a reader sees nothing but marks. */
const RANGES_MAX = 500;

/** The bare words, phrases and `message:` values of a query that are not excluded. */
export function needles(query: string): string[] {
  const found: string[] = [];
  const token = /(-|NOT\s+)?(?:(message|msg):)?("(?:[^"\\]|\\.)*"|\/(?:[^/\\]|\\.)*\/|[^\s()"]+)/gi;
  for (const match of query.split("|")[0]?.matchAll(token) ?? []) {
    const [, excluded, , text = ""] = match;
    if (excluded !== undefined || text.startsWith("-")) continue;
    if (text.startsWith("/")) continue;
    if (text.startsWith('"')) {
      found.push(text.slice(1, -1).replace(/\\(.)/g, "$1"));
      continue;
    }
    if (/^(AND|OR|NOT|TO)$/.test(text) || /[:<>=[\]]/.test(text)) continue;
    for (const part of text.split(/[*?]+/)) if (part.length > 0) found.push(part);
  }
  return [...new Set(found.filter((text) => text.length > 0))];
}

/** Where the needles are. */
export function marks(text: string, wanted: readonly string[]): Range[] {
  if (wanted.length === 0) return [];
  const low = text.toLowerCase();
  // Some letters change length in lower case: offsets would not be those of the text.
  if (low.length !== text.length) return [];
  const ranges: Range[] = [];
  for (const needle of wanted) {
    const lowNeedle = needle.toLowerCase();
    for (let at = low.indexOf(lowNeedle); at >= 0; at = low.indexOf(lowNeedle, at + lowNeedle.length)) {
      ranges.push({ from: at, to: at + lowNeedle.length });
      if (ranges.length >= RANGES_MAX) break;
    }
  }
  return merged(ranges);
}

function merged(ranges: Range[]): Range[] {
  const sorted = ranges.sort((a, b) => a.from - b.from);
  const out: Range[] = [];
  for (const range of sorted) {
    const last = out.at(-1);
    if (last !== undefined && range.from <= last.to) last.to = Math.max(last.to, range.to);
    else out.push({ ...range });
  }
  return out;
}
