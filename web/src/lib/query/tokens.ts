// The pieces of a query by what they are, for colours. Like `terms`, no parser: the server's is.

export interface Token {
  kind: "field" | "operator" | "phrase" | "regex" | "number" | "not" | "word";
  from: number;
  to: number;
}

const PATTERNS: [Token["kind"], RegExp][] = [
  ["phrase", /"(?:[^"\\]|\\.)*"?/y],
  ["regex", /(?<=^|[\s:(])\/(?:[^/\\]|\\.)*\/?i?/y],
  ["not", /(?:NOT(?=[\s(]|$))|(?<=^|[\s(])-(?=\S)/y],
  ["operator", /(?:AND|OR|TO)(?=[\s()\]}]|$)|[()[\]{}|]/y],
  ["field", /(?:\\.|[^\s:<>="()[\]{}|\\/-])(?:\\.|[^\s:<>="()[\]{}|\\])*(?=:|[<>]=?)/y],
  ["operator", /:=|:[<>]=?|[<>]=?|:/y],
  ["number", /-?\d+(?:\.\d+)?(?=[\s)\]}]|$)/y],
  ["word", /(?:\\.|[^\s:<>="()[\]{}|\\])+/y],
];

export function tokens(query: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < query.length) {
    const token = tokenAt(query, at);
    if (token) found.push(token);
    at = token?.to ?? at + 1;
  }
  return found;
}

function tokenAt(query: string, at: number): Token | null {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(query);
    if (match && match[0] !== "") return { kind, from: at, to: at + match[0].length };
  }
  return null;
}
