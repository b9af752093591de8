// What the Logs screen reads of a record.
import type { Schemas } from "$api/client";
import { NumberText } from "$api/json";
import { DEFAULT_COLUMNS } from "$lib/state/url";

export type LogRecord = Schemas["Record"] & Record<string, unknown>;

/** Bytes of a text that a row carries: the rest comes when the record is opened. */
export const PREVIEW_BYTES = 4_096;
/** Fields that a row needs besides the columns. */
const ROW_FIELDS = ["timestamp", "id", "level", "stream", "message"];

/** The usual columns of a phone. */
const NARROW_COLUMNS = ["timestamp", "level", "message"];

/** The columns that show: those that were chosen, the usual ones if none were. */
export function columnsOf(chosen: string[], isNarrow: boolean): string[] {
  const columns = chosen.length > 0 ? chosen : DEFAULT_COLUMNS;
  return isNarrow && columns.join() === DEFAULT_COLUMNS.join() ? NARROW_COLUMNS : columns;
}

/** Fields to ask for when these columns are shown. */
export function rowFields(columns: string[]): string[] {
  return [...new Set([...ROW_FIELDS, ...columns])];
}

/** A field's value as a row or a panel prints it; `null` if the record has none. */
export function textOf(record: LogRecord, field: string): string | null {
  const value = record[field];
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  return value instanceof NumberText || typeof value !== "object" ? String(value) : JSON.stringify(value);
}

/** The whole length in bytes of a field that was cut for the row; `null` if it is all there. */
export function cutBytes(record: LogRecord, field: string): number | null {
  const cut = record["_cut"] as Record<string, number> | undefined;
  const bytes = cut?.[field];
  return bytes === undefined ? null : Number(bytes);
}
