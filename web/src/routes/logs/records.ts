// What the Logs screen reads of a record.
import type { Schemas } from "$api/client";
import { NumberText } from "$api/json";

export type LogRecord = Schemas["Record"] & Record<string, unknown>;

/** Bytes of a text that a row carries: the rest comes when the record is opened. */
export const PREVIEW_BYTES = 4_096;
/** Fields that a row needs besides the columns. */
const ROW_FIELDS = ["timestamp", "id", "level", "stream", "message"];

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
