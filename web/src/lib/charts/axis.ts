// Ends and labels of the axes.
import { decimal, shortCount } from "$lib/text/numbers";

/** Room above (and below) the outermost value, as a part of it. */
const MARGIN = 1.05;

/**
 * Ends of the axis of values whose least and greatest are given (`null`: there is none): zero is
 * always on it, so that heights compare. Counts have at least one step.
 */
export function valueRange(least: number | null, greatest: number | null, isCounted: boolean): [number, number] {
  const low = isCounted ? 0 : Math.min(0, least || 0) * MARGIN;
  const high = Math.max(0, greatest || 0) * MARGIN;
  return [low, isCounted ? Math.max(high, 1) : low === high ? 1 : high];
}

/** A value of the axis: short, and exact below 10,000. */
export const valueLabel = (value: number): string => (Math.abs(value) < 10_000 ? decimal(value) : shortCount(value));

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** Labels of moments (in s) that lie `step` s apart; the day is named where it changes. */
export function timeLabels(splits: number[], step: number): string[] {
  let before = "";
  return splits.map((split) => {
    const date = new Date(split * 1_000);
    const day = `${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
    const isNewDay = day !== before && before !== "";
    before = day;
    if (step >= 86_400) return day;
    const minute = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
    if (step >= 60) return isNewDay ? `${day} ${minute}` : minute;
    const second = `${minute}:${pad(date.getSeconds())}`;
    return step >= 1 ? second : `${second}.${pad(date.getMilliseconds(), 3)}`;
  });
}

/** The moment of a bucket and its end: `12:04:00 – 12:04:30`, with the day if it is not today. */
export function bucketLabel(start: number, widthMs: number, today = new Date()): string {
  const [from, to] = [new Date(start), new Date(start + widthMs)];
  const hasMillis = widthMs < 1_000;
  const clock = (date: Date) => {
    const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
    return hasMillis ? `${text}.${pad(date.getMilliseconds(), 3)}` : text;
  };
  const day = (date: Date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  if (widthMs >= 86_400_000) return day(from);
  const prefix = day(from) === day(today) ? "" : `${day(from)} `;
  return `${prefix}${clock(from)} – ${clock(to)}`;
}
