// Characters that act or cannot be seen, and how they are shown.

/** Bidirectional marks, embeddings, overrides and isolates: they can make text lie. */
const DIRECTION: Record<number, string> = {
  0x061c: "ALM",
  0x200e: "LRM",
  0x200f: "RLM",
  0x202a: "LRE",
  0x202b: "RLE",
  0x202c: "PDF",
  0x202d: "LRO",
  0x202e: "RLO",
  0x2066: "LRI",
  0x2067: "RLI",
  0x2068: "FSI",
  0x2069: "PDI",
};
/** Characters without width, and separators that break lines unasked. */
const INVISIBLE: Record<number, string> = {
  0x00ad: "SHY",
  0x200b: "ZWSP",
  0x2028: "LS",
  0x2029: "PS",
  0x2060: "WJ",
  0xfeff: "BOM",
};

/** Whether a UTF-16 unit is one that `visible` shows: controls but tab and line feed, and the above. */
export function isHidden(code: number): boolean {
  if (code < 0x20) return code !== 0x09 && code !== 0x0a;
  if (code < 0x7f) return false;
  return (code >= 0x7f && code < 0xa0) || code in DIRECTION || code in INVISIBLE;
}

const ANY_HIDDEN = new RegExp(
  `[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f${[...Object.keys(DIRECTION), ...Object.keys(INVISIBLE)]
    .map((code) => `\\u${Number(code).toString(16).padStart(4, "0")}`)
    .join("")}]`,
);

/** Whether any character of a text is hidden: most have none, and are drawn as they are. */
export const hasHidden = (text: string): boolean => ANY_HIDDEN.test(text);

/** What is shown for such a character: a symbol of one character for ASCII, else its name. */
export function visible(code: number): string {
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  const name = DIRECTION[code] ?? INVISIBLE[code];
  return name === undefined ? `<${code.toString(16).toUpperCase().padStart(2, "0")}>` : `<${name}>`;
}
