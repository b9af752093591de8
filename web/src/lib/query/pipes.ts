// What the pipes of a query say, as far as the screen needs it: which columns are groups, how wide
// the buckets of a timechart are.
//
// Like `terms` this is no parser: the server's is the only one, and where both differ nothing is
// offered or drawn rather than something wrong.
import { filterEnd } from "./terms";

/** The pipes of a query, without the marks between them. */
export function pipesOf(query: string): string[] {
  const text = query.slice(filterEnd(query));
  return text === "" ? [] : splitOutside(text, "|").slice(1);
}

/** Parts of a text between a mark that stands outside of quotes and brackets. */
export function splitOutside(text: string, mark: string): string[] {
  const parts = [""];
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at]!;
    if (one === "\\") {
      parts[parts.length - 1] += text.slice(at, at + 2);
      at += 1;
      continue;
    }
    if (one === '"') isQuoted = !isQuoted;
    else if (!isQuoted && one === "(") depth += 1;
    else if (!isQuoted && one === ")") depth -= 1;
    if (one === mark && !isQuoted && depth === 0) parts.push("");
    else parts[parts.length - 1] += one;
  }
  return parts;
}

/** A pipe that makes a table of groups. */
export interface GroupingPipe {
  kind: "stats" | "top" | "timechart";
  /** What stands between its name and `by`. */
  what: string;
  /** Names of the columns that are groups, as the table has them. */
  groups: string[];
}

/** The pipe of a query that makes groups of the records; it can only be the first. */
export function groupingPipe(query: string): GroupingPipe | null {
  const [, name, rest = ""] = /^\s*(stats|top|timechart)(?![\w.])(.*)$/is.exec(pipesOf(query)[0] ?? "") ?? [];
  if (name === undefined) return null;
  const kind = name.toLowerCase() as GroupingPipe["kind"];
  const at = byAt(rest);
  const what = rest.slice(0, at).trim();
  const by = splitOutside(rest.slice(at + 2), ",").map(nameOf).filter((one) => one !== "");
  // The values that `top` counts are groups as well.
  const counted = kind === "top" ? [nameOf(what.replace(/^\d+\s+/, ""))] : [];
  return { kind, what, groups: [...by, ...counted] };
}

/** Where the word `by` stands; the end of the text if nowhere. */
function byAt(text: string): number {
  const words = outside(text);
  for (const { index } of words.matchAll(/(?<![\p{L}\p{N}_.@$/#-])by(?=[\s\0,]|$)/giu)) {
    // A column may be named so: count() as by.
    if (!/(?:^|\s)as\s+$/i.test(words.slice(0, index))) return index;
  }
  return text.length;
}

/** The text with what stands in brackets blanked and what stands in quotes crossed out, as long as it was. */
function outside(text: string): string {
  let depth = 0;
  let isQuoted = false;
  let found = "";
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at]!;
    const isMark = one === '"';
    if (isMark) isQuoted = !isQuoted;
    else if (!isQuoted && one === "(") depth += 1;
    found += depth > 0 ? " " : isQuoted || isMark ? "\0" : one;
    if (!isQuoted && !isMark && one === ")") depth -= 1;
    if (one === "\\" && at + 1 < text.length) {
      at += 1;
      found += depth > 0 ? " " : isQuoted ? "\0" : text[at]!;
    }
  }
  return found;
}

/** A name as it is meant: quotes and what they escape are no part of it. */
function nameOf(text: string): string {
  const [, quoted] = /^\s*"((?:[^"\\]|\\.)*)"\s*$/s.exec(text) ?? [];
  return quoted === undefined ? text.trim() : quoted.replace(/\\(.)/gs, "$1");
}
