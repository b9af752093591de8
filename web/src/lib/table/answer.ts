// The answer of a query with pipes: columns and rows, as a table shows and sorts them.
//
// Invariants
// - What is shown is the server's: rows are only put into another order, and `null` comes last
//   whichever way.
// - A cell shows at most CELL_CHARS_MAX characters on one line; what is copied is whole.
// - No text of a record acts: cells, their tips and the heads of columns are drawn by `LogText` or as
//   `plain` has them.
import type { Schemas } from "$api/client";
import { NumberText } from "$api/json";
import { oneLine } from "$lib/text/pieces";
import { plain } from "$lib/text/spans";
import { fullTime } from "$lib/text/time";

export type TableData = Schemas["TableData"];
export type Column = Schemas["TableColumn"];
export type Row = readonly unknown[];

/** Characters of a cell that are drawn: a line of a screen is not longer. */
const CELL_CHARS_MAX = 1_000;
/** Rows that are looked at for the width of a column: the first screens. */
const MEASURED_ROWS = 200;
/** Widths of columns in characters. */
const WIDTH_MIN = 6;
const WIDTH_MAX = 72;

/** Whether an answer of the search is a table. */
export function isTable(answer: object): answer is TableData {
  return "columns" in answer && "rows" in answer;
}

/** Whether the values of a column are counted or measured, and stand below each other by their digits. */
export const isNumeric = ({ type }: Column) => type === "integer" || type === "number";

/** A number with its thousands apart; every digit that came stays. */
function numberText(value: unknown): string {
  const [, digits, rest] = /^(-?\d+)(.*)$/.exec(String(value)) ?? [];
  return digits === undefined ? String(value) : digits.replace(/\B(?=(\d{3})+$)/g, ",") + rest;
}

/** Digits after the point: three are enough to compare by eye. */
const FRACTION_DIGITS = 3;

function shortNumber(value: unknown, digits: number): string {
  const isSmall = typeof value !== "number" || (value !== 0 && Math.abs(value) < 0.001);
  return numberText(digits === 0 || isSmall ? value : value.toFixed(digits));
}

/** Digits after the point of each column, so that its numbers stand below each other. */
export function fractions(table: TableData): number[] {
  const isWhole = (value: unknown) => typeof value !== "number" || Number.isInteger(value);
  return table.columns.map((_, at) => (table.rows.every((row) => isWhole(row[at])) ? 0 : FRACTION_DIGITS));
}

/** A value as it came, for copying. */
export function wholeText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" && !(value instanceof NumberText) ? JSON.stringify(value) : String(value);
}

/** A value as its cell shows it. */
export function cellText(value: unknown, column: Column, digits = 0): string {
  if (value === null || value === undefined) return "–";
  if (isNumeric(column)) return shortNumber(value, digits);
  if (column.type === "time") return fullTime(String(value), "local");
  return plain(lineText(value));
}

/** A text on one line as it came, colours and all: for `LogText`. */
export function lineText(value: unknown): string {
  const text = wholeText(value);
  // Half a character is none.
  const isCutInside = text.length > CELL_CHARS_MAX && /[\ud800-\udbff]/.test(text[CELL_CHARS_MAX - 1]!);
  return oneLine(text.slice(0, isCutInside ? CELL_CHARS_MAX - 1 : CELL_CHARS_MAX), CELL_CHARS_MAX);
}

/** Characters of the tip of a cell. */
const TIP_CHARS_MAX = 500;

/** What a cell says under the pointer: as much as can be read there. */
export const tipText = (value: unknown): string => plain(wholeText(value).slice(0, TIP_CHARS_MAX));

/** Columns whose values are shown as log text: the server's own numbers and times are as they are. */
export const isText = ({ type }: Column) => type !== "time" && type !== "integer" && type !== "number";

function compare(a: unknown, b: unknown): number {
  const [one, two] = [a, b].map((value) => (value instanceof NumberText ? value.valueOf() : value));
  if (typeof one === "number" && typeof two === "number") return one - two;
  // Times of one form compare as texts do, but for their fractions.
  const [text, other] = [wholeText(one), wholeText(two)];
  return text < other ? -1 : text > other ? 1 : 0;
}

/** Places of the rows in the order of a column; as they came without one. */
export function order(table: TableData, by: string): number[] {
  const isDescending = by.startsWith("-");
  const at = table.columns.findIndex(({ name }) => name === (isDescending ? by.slice(1) : by));
  const places = table.rows.map((_, place) => place);
  if (at < 0) return places;
  const isTime = table.columns[at]!.type === "time";
  const keys = table.rows.map((row) => (isTime ? timeKey(row[at]) : row[at]));
  const isNone = (place: number) => keys[place] === null || keys[place] === undefined;
  return places.sort((a, b) => {
    if (isNone(a) || isNone(b)) return Number(isNone(a)) - Number(isNone(b));
    return isDescending ? compare(keys[b], keys[a]) : compare(keys[a], keys[b]);
  });
}

/** A time with all nine digits, so that texts compare as moments. */
function timeKey(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const [, whole, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(value) ?? [];
  return whole === undefined ? value : whole + fraction.padEnd(9, "0");
}

/** Characters of each column. */
export function widths(table: TableData): number[] {
  const digits = fractions(table);
  return table.columns.map((column, at) => {
    let most = plain(column.name).length + 3;
    for (const row of table.rows.slice(0, MEASURED_ROWS)) most = Math.max(most, cellText(row[at], column, digits[at]).length);
    return Math.max(WIDTH_MIN, Math.min(most, WIDTH_MAX));
  });
}

/** The table for a spreadsheet: RFC 4180, with no text that it would take for a formula. */
export function csv(table: TableData, places: readonly number[]): string {
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (texts: string[]) => texts.map(cell).join(",");
  const harmless = (value: unknown, at: number) => {
    const text = wholeText(value);
    return !isNumeric(table.columns[at]!) && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  };
  const rows = places.map((place) => line((table.rows[place] as Row).map(harmless)));
  return [line(table.columns.map(({ name }) => name)), ...rows, ""].join("\r\n");
}
