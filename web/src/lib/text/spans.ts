// Log text as spans that are safe to look at.
//
// Invariants
// - Joined, the spans hold every character of the text but the SGR sequences that they stand for.
// - Nothing in the text acts: escapes other than SGR, control characters, direction marks and
//   characters without width are shown as what they are, never obeyed.
// - Colours are names of tokens; what they look like belongs to the theme.
import { isHidden, visible } from "./hidden";

/** How a span looks, as an SGR sequence said it. */
export interface Style {
  /** One of the sixteen colours by number, or `#rrggbb`. */
  colour?: number | string;
  background?: number | string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
}

/** A stretch of text of one look. */
export interface Span {
  text: string;
  style: Style;
  /** The text stands for a character that would act or cannot be seen. */
  control?: boolean;
}

const SGR = /\u001b\[([0-9;:]*)m/y;

/** Cuts a text into spans. */
export function spans(text: string): Span[] {
  const found: Span[] = [];
  let style: Style = {};
  let from = 0;
  const flush = (to: number) => {
    if (to > from) found.push({ text: text.slice(from, to), style });
  };
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (!isHidden(code)) {
      at += 1;
      continue;
    }
    flush(at);
    SGR.lastIndex = at;
    const match = code === 0x1b ? SGR.exec(text) : null;
    if (match === null) {
      found.push({ text: visible(code), style, control: true });
      at += 1;
    } else {
      style = restyled(style, match[1] ?? "");
      at = SGR.lastIndex;
    }
    from = at;
  }
  flush(text.length);
  return found;
}

/** The text without SGR sequences, everything else that hides shown. */
export function plain(text: string): string {
  return spans(text)
    .map((span) => span.text)
    .join("");
}

function restyled(style: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map((code) => Number(code || "0"));
  let next: Style = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, at + 1);
      if (colour !== undefined) {
        if (code === 38) next.colour = colour;
        else next.background = colour;
      }
      at += used;
    } else next = apply(next, code);
  }
  return next;
}

/** Colour of `38;5;n` or `38;2;r;g;b` behind the 38, and how many codes it took. */
function extended(codes: number[], at: number): [number | string | undefined, number] {
  if (codes[at] === 5) return [indexed(codes[at + 1] ?? 0), 2];
  if (codes[at] === 2) return [hex(codes.slice(at + 1, at + 4)), 4];
  return [undefined, 1];
}

/** A colour of the palette of 256: 16 named ones, a cube of 6 × 6 × 6, 24 greys (xterm). */
function indexed(index: number): number | string | undefined {
  if (index < 16) return index;
  if (index < 232) {
    const level = (value: number) => (value === 0 ? 0 : 55 + value * 40);
    const cube = index - 16;
    return hex([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
  }
  if (index < 256) return hex([8 + (index - 232) * 10, 8 + (index - 232) * 10, 8 + (index - 232) * 10]);
  return undefined;
}

function hex(parts: number[]): string {
  const two = (value: number) =>
    Math.min(255, Math.max(0, Math.trunc(value) || 0))
      .toString(16)
      .padStart(2, "0");
  return `#${two(parts[0] ?? 0)}${two(parts[1] ?? 0)}${two(parts[2] ?? 0)}`;
}

function apply(style: Style, code: number): Style {
  if (code === 0) return {};
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 3) return { ...style, italic: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 7) return { ...style, inverse: true };
  if (code === 9) return { ...style, strike: true };
  if (code === 22) return without(style, "bold", "dim");
  if (code === 23) return without(style, "italic");
  if (code === 24) return without(style, "underline");
  if (code === 27) return without(style, "inverse");
  if (code === 29) return without(style, "strike");
  if (code >= 30 && code <= 37) return { ...style, colour: code - 30 };
  if (code === 39) return without(style, "colour");
  if (code >= 40 && code <= 47) return { ...style, background: code - 40 };
  if (code === 49) return without(style, "background");
  if (code >= 90 && code <= 97) return { ...style, colour: code - 82 };
  if (code >= 100 && code <= 107) return { ...style, background: code - 92 };
  return style;
}

function without(style: Style, ...keys: (keyof Style)[]): Style {
  const next = { ...style };
  for (const key of keys) delete next[key];
  return next;
}
