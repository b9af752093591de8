// Finding a text in the rows of a list that are loaded. Without case, in what the columns show.

/** What is looked through. */
export interface Findable {
  length: number;
  at(index: number): Record<string, unknown> | undefined;
}

/** Places of the rows that have the text in one of the columns, in order; none for an empty text. */
export function rowsWith(rows: Findable, columns: readonly string[], text: string): number[] {
  const wanted = text.toLowerCase();
  if (wanted === "") return [];
  const found: number[] = [];
  for (let index = 0; index < rows.length; index += 1) {
    const record = rows.at(index);
    if (record && columns.some((name) => cellText(record[name]).includes(wanted))) found.push(index);
  }
  return found;
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" && !("text" in value) ? JSON.stringify(value) : String(value);
  return text.toLowerCase();
}

/**
 * Which of the found rows comes next from a row, as a place in `found`: behind the last one the
 * first, before the first one the last. `null` if none was found.
 */
export function nextFound(found: readonly number[], from: number | null, step: 1 | -1): number | null {
  if (found.length === 0) return null;
  if (step === 1) {
    const at = found.findIndex((index) => index > (from ?? -1));
    return at < 0 ? 0 : at;
  }
  const at = found.findLastIndex((index) => index < (from ?? Infinity));
  return at < 0 ? found.length - 1 : at;
}
