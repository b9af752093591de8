// The terms of a query text, so that a click can add, turn round or take out one of them.
//
// This is no parser: the server's is the only one. It splits at blanks outside of quotes,
// regular expressions, brackets and groups, which is all that editing needs, and keeps every
// character that it does not change.

/** A stretch of the query between blanks on its top level. */
export interface Term {
  text: string;
  from: number;
  to: number;
}

const CLOSERS: Record<string, string> = { "(": ")", "[": "]", "{": "}" };

/** The terms on the top level, with AND, OR, NOT as terms of their own; pipes end the list. */
export function terms(query: string): Term[] {
  const found: Term[] = [];
  let at = 0;
  while (at < query.length) {
    if (isBlank(query[at])) {
      at += 1;
      continue;
    }
    if (query[at] === "|") break;
    const from = at;
    at = endOfTerm(query, at);
    found.push({ text: query.slice(from, at), from, to: at });
  }
  return found;
}

const isBlank = (text: string | undefined) => text === undefined || /\s/.test(text);

/** Whether a term or a value begins there: what opens a regex; elsewhere a slash is a character. */
const beginsValue = (query: string, at: number, start: number) =>
  at === start || /[\s:(]/.test(query[at - 1]!) || (at - 1 === start && query[start] === "-");

function endOfTerm(query: string, start: number): number {
  const open: string[] = [];
  let at = start;
  while (at < query.length) {
    const text = query[at]!;
    if (open.length === 0 && (isBlank(text) || text === "|")) break;
    if (text === "\\") at += 2;
    else if (text === '"') at = behind(query, at, '"');
    else if (text === "/" && beginsValue(query, at, start)) at = behind(query, at, "/");
    else {
      // Within a word the brackets of a range are characters like others.
      if (text === "(" || (text in CLOSERS && query[at - 1] === ":")) open.push(CLOSERS[text]!);
      // A range may close with the other bracket: [1 TO 2}.
      else if (open.length > 0 && (text === open.at(-1) || (/[\]}]/.test(text) && open.at(-1) !== ")"))) open.pop();
      at += 1;
    }
  }
  return Math.min(at, query.length);
}

/** Behind the closing mark of what opens at `start`; the end of the query if nothing closes it. */
function behind(query: string, start: number, mark: string): number {
  for (let at = start + 1; at < query.length; at += 1) {
    if (query[at] === "\\") at += 1;
    else if (query[at] === mark) return at + 1;
  }
  return query.length;
}

/** Where the pipes begin; the length of the query if there are none. */
export function filterEnd(query: string): number {
  let at = 0;
  while (at < query.length && query[at] !== "|") at = isBlank(query[at]) ? at + 1 : endOfTerm(query, at);
  return at;
}

/** What selects records: the query without its pipes. */
export const filterOf = (query: string) => query.slice(0, filterEnd(query)).trimEnd();

/** Whether the query makes something else of the records than a list of them. */
export const hasPipes = (query: string) => filterEnd(query) < query.length;

/** A field as a query writes it: letters, digits and few signs stand in a name, all else is escaped. */
const written = (field: string) => field.replace(/[^\p{Alphabetic}\p{N}_.@$#-]/gu, "\\$&").replace(/^(?=[\d-])/, "\\");

/** Records that have the field. */
export const exists = (field: string) => `_exists_:${written(field)}`;

/** A value as a query writes it, exactly: `level:error`, `status:200`, `source:="Figma Plugin"`. */
export function equals(field: string, value: unknown): string {
  const name = written(field);
  if (field === "level") return `level:${String(value)}`;
  if (typeof value === "number" || typeof value === "boolean") return `${name}:${String(value).replace(/^-/, "\\-")}`;
  const text = String(value).replace(/["\\]/g, "\\$&");
  return `${name}:="${text}"`;
}

/** Whether the query demands the term, excludes it, or does not mention it. */
export function mention(query: string, term: string): "included" | "excluded" | null {
  const found = terms(query).map(({ text }) => text);
  if (found.includes("OR")) return null;
  for (const [index, text] of found.entries()) {
    if (text === `-${term}`) return "excluded";
    if (text === term) return found[index - 1] === "NOT" ? "excluded" : "included";
  }
  return null;
}

/** The query without the term, demanded or excluded. */
export function without(query: string, term: string): string {
  const found = terms(query);
  for (const [index, { text, from, to }] of found.entries()) {
    if (text !== term && text !== `-${term}`) continue;
    let first = index;
    while (first > 0 && /^(AND|NOT)$/.test(found[first - 1]!.text)) first -= 1;
    const operator = found[first]?.from ?? from;
    const after = found[index + 1];
    const end = first === 0 && after?.text === "AND" ? after.to : to;
    return `${query.slice(0, operator).trimEnd()} ${query.slice(end).trimStart()}`.trim();
  }
  return query;
}

/** The query that demands (or excludes) the term, once, whatever it said of it before. */
export function including(query: string, term: string, excluded = false): string {
  const wanted = excluded ? `-${term}` : term;
  if (mention(query, term) === (excluded ? "excluded" : "included")) return query;
  const rest = without(query, term);
  const end = filterEnd(rest);
  const filter = rest.slice(0, end).trim();
  const pipes = rest.slice(end);
  const either = terms(filter).some(({ text }) => text === "OR");
  const joined = filter === "" || filter === "*" ? wanted : either ? `(${filter}) ${wanted}` : `${filter} ${wanted}`;
  return pipes === "" ? joined : `${joined} ${pipes}`;
}

/** The query that demands the term and says nothing else of the field. */
export function only(query: string, field: string, term: string): string {
  const start = new RegExp(`^-?${written(field).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}[:<>=]`);
  let rest = query;
  const isOfField = (text: string) => start.test(text) || text.replace(/^-/, "") === exists(field);
  for (const { text } of terms(query)) if (isOfField(text)) rest = without(rest, text.replace(/^-/, ""));
  return including(rest, term);
}

/** Each term with the query that lacks it: what an empty result offers to drop. */
export function droppable(query: string): { term: string; query: string }[] {
  const found = terms(query);
  if (found.some(({ text }) => text === "OR")) return [];
  return found
    .filter(({ text }) => !/^(AND|NOT)$/.test(text))
    .map(({ text }) => ({ term: text, query: without(query, text) }));
}
