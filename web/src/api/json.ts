// JSON whose numbers survive: `1.50`, `9007199254740993` and `2e2` are shown as they were sent,
// not as the nearest double prints.
//
// A number that would print differently becomes a `NumberText`; all others are plain numbers. It
// costs a look at each number's source text, which browsers give since 2023; without it (older
// ones) numbers are plain.

/** A number by its own digits. */
export class NumberText {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
  valueOf(): number {
    return Number(this.text);
  }
  /** Without `JSON.rawJSON` the nearest double. */
  toJSON(): unknown {
    const raw = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON;
    return raw ? raw(this.text) : Number(this.text);
  }
}

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const revive: Reviver = (_key, value, context) => {
  if (typeof value !== "number" || context?.source === undefined) return value;
  return String(value) === context.source ? value : new NumberText(context.source);
};

// A fraction, an exponent, a negative zero or 16 digits, where a number may stand: what could print
// differently. Most answers have none of it and are spared the slow path. A time in a text is none.
const SUSPECT = /(?:^|[:,[])\s*(?:-0|-?(?:\d{16,}|\d+\.\d+|\d+(?:\.\d+)?[eE][-+]?\d+))\s*(?:[,}\]]|$)/;

export function parseJson(text: string): unknown {
  if (!SUSPECT.test(text)) return JSON.parse(text);
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}
