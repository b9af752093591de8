// A log text cut where its look or its marks change: what a component draws, one element a piece.
import { marks } from "./highlight";
import { spans, type Style } from "./spans";

export interface Piece {
  text: string;
  style: Style;
  /** Stands for a character that would act or cannot be seen. */
  isControl: boolean;
  /** One of the words that were looked for. */
  isMarked: boolean;
}

/** The pieces of a text; joined they are what `plain` gives. */
export function pieces(text: string, needles: readonly string[]): Piece[] {
  const parts = spans(text);
  const ranges = marks(parts.map((part) => part.text).join(""), needles);
  const found: Piece[] = [];
  let at = 0;
  let next = 0;
  for (const part of parts) {
    const end = at + part.text.length;
    const start = at;
    while (at < end) {
      while (next < ranges.length && ranges[next]!.to <= at) next += 1;
      const range = ranges[next];
      const isMarked = range !== undefined && range.from <= at;
      const stop = range === undefined ? end : Math.min(end, isMarked ? range.to : range.from);
      const piece = part.text.slice(at - start, stop - start);
      found.push({ text: piece, style: part.style, isControl: part.control === true, isMarked });
      at = stop;
    }
  }
  return found;
}

/** A text on one line: line feeds and tabs are shown as signs, and what is past `length` is left out. */
export function oneLine(text: string, length: number): string {
  const short = text.length > length ? `${text.slice(0, length)}…` : text;
  return /[\n\t]/.test(short) ? short.replace(/\r?\n/g, " ⏎ ").replace(/\t/g, "  ") : short;
}
