// What is being written at the caret of a query: a field, or the value of one.

/** What to offer, and which characters it replaces. */
export type Completing =
  | { kind: "field"; prefix: string; from: number; to: number }
  | { kind: "value"; field: string; prefix: string; quoted: boolean; from: number; to: number }
  | { kind: "nothing" };

/** Comparisons that a number or a level takes; offered behind a field's name. */
export const OPERATORS = [":", ":=", ":>", ":>=", ":<", ":<=", ":["] as const;

const FIELD = /[\w.@-]|[^\x00-\x7f]/;

/** Looks at the text before the caret. */
export function completing(query: string, caret: number): Completing {
  const before = query.slice(0, caret);
  const start = startOfTerm(before);
  if (start === null) return { kind: "nothing" };
  const term = before.slice(start).replace(/^(?:-|\()+/, "");
  const from = caret - term.length;
  const operator = /^((?:\\.|[^\s:<>="()\\])+)(:=|:[<>]=?|[<>]=?|:)(.*)$/s.exec(term);
  if (operator === null) {
    const isName = [...term].every((letter) => FIELD.test(letter));
    return isName ? { kind: "field", prefix: term, from, to: endOfName(query, caret) } : { kind: "nothing" };
  }
  const [, field = "", , typed = ""] = operator;
  if (/^[/[{]/.test(typed)) return { kind: "nothing" };
  const quoted = typed.startsWith('"');
  const listed = /^\(/.test(typed) ? (/[(\s]([^(\s]*)$/.exec(typed)?.[1] ?? "") : typed;
  const prefix = (quoted ? typed.slice(1) : listed).replace(/\\(.)/g, "$1");
  return {
    kind: "value",
    field: field.replace(/\\(.)/g, "$1"),
    prefix,
    quoted,
    from: caret - (quoted ? typed.length : listed.length),
    to: quoted ? endOfQuote(query, caret) : endOfName(query, caret),
  };
}

/** Where the term at the end of the text begins; `null` inside a regular expression or a lone phrase. */
function startOfTerm(text: string): number | null {
  let start = 0;
  let quote: string | null = null;
  let group = 0;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at]!;
    if (letter === "\\") at += 1;
    else if (quote !== null) {
      if (letter === quote) quote = null;
    } else if (letter === '"') quote = letter;
    else if (letter === "/" && /^$|[\s:(]/.test(text[at - 1] ?? "")) quote = letter;
    else if (letter === "(" && text[at - 1] === ":") group += 1;
    else if (letter === ")" && group > 0) group -= 1;
    else if (/[\s(|]/.test(letter) && group === 0) start = at + 1;
  }
  if (quote === "/") return null;
  if (quote === '"' && !/^-?[^\s"]+:=?"/.test(text.slice(start))) return null;
  return start;
}

function endOfName(query: string, caret: number): number {
  let at = caret;
  while (at < query.length && FIELD.test(query[at]!)) at += 1;
  return at;
}

function endOfQuote(query: string, caret: number): number {
  const close = query.indexOf('"', caret);
  return close < 0 || /\s/.test(query.slice(caret, close)) ? caret : close + 1;
}
