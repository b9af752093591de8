// Time ranges as the URL and the pickers have them: two texts, each `now`, `now-1h` or a moment.
//
// Invariants
// - What `parseTime` takes the server takes too, with the same meaning; `printTime` of it is the
//   canonical text, and parsing that gives the same again.
// - A relative range stays relative in the URL; it becomes two moments once, when a question is
//   asked, so that every panel asks about the same records (`resolveRange`).
// - Moments are shown in the zone of the browser and sent in UTC.

export interface TimeRange {
  from: string;
  to: string;
}

/** Two moments, in ms since the epoch. */
export interface Moments {
  start: number;
  end: number;
}

export const DEFAULT_RANGE: TimeRange = { from: "now-1h", to: "now" };

const UNIT_MS: Record<string, number> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

export const QUICK_RANGES: { label: string; range: TimeRange }[] = [
  ["5 minutes", "5m"],
  ["15 minutes", "15m"],
  ["30 minutes", "30m"],
  ["1 hour", "1h"],
  ["3 hours", "3h"],
  ["6 hours", "6h"],
  ["12 hours", "12h"],
  ["24 hours", "24h"],
  ["2 days", "2d"],
  ["7 days", "7d"],
  ["30 days", "30d"],
  ["90 days", "90d"],
].map(([label, span]) => ({ label: `Last ${label}`, range: { from: `now-${span}`, to: "now" } }));

const RELATIVE = /^now(?:([+-])(\d{1,6})([smhdw]))?$/;

function relativeMs(text: string): number | null {
  const match = RELATIVE.exec(text);
  if (!match) return null;
  const [, sign, count, unit] = match;
  if (!sign) return 0;
  return (sign === "-" ? -1 : 1) * Number(count) * UNIT_MS[unit!]!;
}

export function isRelative(text: string): boolean {
  return RELATIVE.test(text);
}

const WORD_UNITS: Record<string, string> = {
  s: "s", sec: "s", secs: "s", second: "s", seconds: "s",
  m: "m", min: "m", mins: "m", minute: "m", minutes: "m",
  h: "h", hr: "h", hrs: "h", hour: "h", hours: "h",
  d: "d", day: "d", days: "d",
  w: "w", week: "w", weeks: "w",
};
const LOCAL =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;

function startOfDay(now: number, daysBack: number): number {
  const date = new Date(now);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() - daysBack).getTime();
}

/** A moment from a date as it is written; `null` if it is none. */
function parseMoment(text: string): number | null {
  const epoch = /^\d{10}(?:\d{3})?$/.exec(text);
  if (epoch) return Number(text) * (text.length === 10 ? 1_000 : 1);
  const match = LOCAL.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const millis = Math.floor(Number(`0.${match[7] ?? 0}`) * 1_000);
  const zone = match[8];
  const parts = [year!, month! - 1, day!, hour!, minute!, second!, millis] as const;
  let value: number;
  if (!zone) {
    value = new Date(...parts).getTime();
  } else {
    const digits = zone.toUpperCase() === "Z" ? "+0000" : zone.replace(":", "");
    const offset = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
    value = Date.UTC(...parts) - (digits[0] === "-" ? -1 : 1) * offset * 60_000;
  }
  // 2026-02-31 is no day, though Date makes one of it.
  const shown = new Date(Date.UTC(parts[0], parts[1], parts[2]));
  const isDay = shown.getUTCMonth() === parts[1] && shown.getUTCDate() === parts[2];
  const isTime = parts[3] < 24 && parts[4] < 60 && parts[5] < 60;
  return isDay && isTime && Number.isFinite(value) ? value : null;
}

/** One time as a person or a URL writes it, in its canonical text; `null` if it is none. */
export function parseTime(text: string, now: number): string | null {
  const plain = text.trim().replace(/\s+/g, " ").toLowerCase();
  if (isRelative(plain)) return plain;
  const spaced = /^now ?([+-]) ?(\d{1,6}) ?([a-z]+)$/.exec(plain);
  if (spaced) {
    const unit = WORD_UNITS[spaced[3]!];
    return unit ? `now${spaced[1]}${spaced[2]}${unit}` : null;
  }
  const ago = /^(\d{1,6}|an?) ?([a-z]+) ago$/.exec(plain);
  if (ago) {
    const unit = WORD_UNITS[ago[2]!];
    return unit ? `now-${ago[1]!.startsWith("a") ? 1 : ago[1]}${unit}` : null;
  }
  if (plain === "today" || plain === "midnight") return printTime(startOfDay(now, 0));
  if (plain === "yesterday") return printTime(startOfDay(now, 1));
  const clock = /^(?:(today|yesterday) )?(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(plain);
  if (clock) {
    const [hour, minute, second] = [clock[2], clock[3], clock[4]].map((part) => Number(part ?? 0));
    if (hour! > 23 || minute! > 59 || second! > 59) return null;
    const day = new Date(startOfDay(now, clock[1] === "yesterday" ? 1 : 0));
    return printTime(day.setHours(hour!, minute!, second!));
  }
  const moment = parseMoment(text.trim());
  return moment === null ? null : printTime(moment);
}

/** A moment as the URL and the server have it. */
export function printTime(moment: number): string {
  return new Date(moment).toISOString();
}

/** A whole range as one text: `15m`, `last 2 hours`, `yesterday`, `now-3h to now-1h`, `A .. B`. */
export function parseRange(text: string, now: number): TimeRange | null {
  const plain = text.trim().replace(/\s+/g, " ").toLowerCase();
  if (plain === "today") return { from: printTime(startOfDay(now, 0)), to: "now" };
  if (plain === "yesterday") {
    return { from: printTime(startOfDay(now, 1)), to: printTime(startOfDay(now, 0)) };
  }
  const last = /^(?:last |past )?(\d{1,6}|an?)? ?([a-z]+)$/.exec(plain);
  const unit = last && WORD_UNITS[last[2]!];
  if (last && unit) {
    const count = last[1] === undefined || last[1].startsWith("a") ? 1 : Number(last[1]);
    return count > 0 ? { from: `now-${count}${unit}`, to: "now" } : null;
  }
  const sides = text.trim().split(/\s+(?:to|until|till|–|—|-)\s+|\s*\.\.\s*/i);
  if (sides.length === 2) {
    const from = parseTime(sides[0]!, now);
    const to = parseTime(sides[1]!, now);
    return from && to && isForward({ from, to }, now) ? { from, to } : null;
  }
  const from = parseTime(text, now);
  return from && isForward({ from, to: "now" }, now) ? { from, to: "now" } : null;
}

function resolve(text: string, now: number): number | null {
  const relative = relativeMs(text);
  return relative === null ? parseMoment(text) : now + relative;
}

/** The moment that a text of `parseTime` means, in ms; `null` if it is none. */
export function momentOf(text: string, now: number): number | null {
  const parsed = parseTime(text, now);
  return parsed === null ? null : resolve(parsed, now);
}

/** A range of the same length around a moment, never past now. */
export function rangeAround(range: TimeRange, moment: number, now: number): TimeRange {
  const { start, end } = resolveRange(range, now);
  const to = Math.max(Math.min(moment + (end - start) / 2, now), moment + 1);
  return { from: printTime(Math.round(to - (end - start))), to: printTime(Math.round(to)) };
}

export function isForward(range: TimeRange, now: number): boolean {
  const [start, end] = [resolve(range.from, now), resolve(range.to, now)];
  return start !== null && end !== null && start < end;
}

/** The two moments of a range; what cannot be read is the default range. */
export function resolveRange(range: TimeRange, now: number): Moments {
  const [start, end] = [resolve(range.from, now), resolve(range.to, now)];
  if (start === null || end === null || start >= end) return resolveRange(DEFAULT_RANGE, now);
  return { start, end };
}

/** Whether the range follows the clock. */
export function isLive(range: TimeRange): boolean {
  return range.to === "now";
}

/** `-1` and `1` move by half a range, back and forth; never past now. */
export function shiftRange(range: TimeRange, direction: -1 | 1, now: number): TimeRange {
  const { start, end } = resolveRange(range, now);
  const length = end - start;
  const moved = Math.min(end + (direction * length) / 2, now);
  return { from: printTime(Math.round(moved - length)), to: printTime(Math.round(moved)) };
}

/** A factor above 1 widens around the middle; a live range stays live. */
export function zoomRange(range: TimeRange, factor: number, now: number): TimeRange {
  const { start, end } = resolveRange(range, now);
  const length = Math.max((end - start) * factor, 1);
  if (isLive(range)) {
    const quick = relativeOf(length);
    return quick ?? { from: printTime(Math.round(now - length)), to: "now" };
  }
  const middle = (start + end) / 2;
  const to = Math.min(middle + length / 2, now);
  return { from: printTime(Math.round(to - length)), to: printTime(Math.round(to)) };
}

/** The range `now-N … now` of a length in whole units. */
function relativeOf(length: number): TimeRange | null {
  for (const unit of ["d", "h", "m", "s"]) {
    const count = length / UNIT_MS[unit]!;
    if (Number.isInteger(count)) return { from: `now-${count}${unit}`, to: "now" };
  }
  return null;
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** `14:05`, with seconds or ms only where they are not 0. */
function clockOf(date: Date): string {
  const seconds = date.getSeconds();
  const millis = date.getMilliseconds();
  const tail = millis ? `:${pad(seconds)}.${pad(millis, 3)}` : seconds ? `:${pad(seconds)}` : "";
  return `${pad(date.getHours())}:${pad(date.getMinutes())}${tail}`;
}

/** `2026-01-04` in the zone of the browser. */
export function dayOf(date: Date): string {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** A moment as it is typed into the picker: `2026-01-04 14:05:00`. */
export function typedTime(text: string): string {
  const moment = isRelative(text) ? null : parseMoment(text);
  if (moment === null) return text;
  const date = new Date(moment);
  return `${dayOf(date)} ${clockOf(date)}`;
}

/** A few words for the button of the picker. */
export function rangeLabel(range: TimeRange, now: number): string {
  const quick = QUICK_RANGES.find((q) => q.range.from === range.from && q.range.to === range.to);
  if (quick) return quick.label;
  const back = RELATIVE.exec(range.from);
  if (range.to === "now" && back?.[1] === "-") {
    const names: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };
    return `Last ${back[2]} ${names[back[3]!]}${back[2] === "1" ? "" : "s"}`;
  }
  if (isRelative(range.from) && isRelative(range.to)) return `${range.from} to ${range.to}`;
  const { start, end } = resolveRange(range, now);
  const [from, to] = [new Date(start), new Date(end)];
  const today = dayOf(new Date(now));
  const fromDay = dayOf(from);
  const first = fromDay === today ? clockOf(from) : `${fromDay} ${clockOf(from)}`;
  if (range.to === "now") return `${first} to now`;
  const second = dayOf(to) === fromDay ? clockOf(to) : `${dayOf(to)} ${clockOf(to)}`;
  return `${first} to ${second}`;
}

/** `1 h 5 min`: a length for people, two units at most. */
export function lengthLabel(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const units: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ];
  const at = units.findIndex(([size]) => ms >= size);
  const [size, name] = units[at]!;
  const count = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next ? Math.floor((ms - count * size) / next[0]) : 0;
  return rest ? `${count} ${name} ${rest} ${next![1]}` : `${count} ${name}`;
}
