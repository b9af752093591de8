// Times as they are shown. Input is RFC 3339 with up to nine digits of a second, as the API gives
// it; nothing of it is lost on the way through `Date`, which has only milliseconds.

/** Whose clock is shown. */
export type Zone = "local" | "utc";

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})$/;

const pad = (value: number, digits = 2) => String(value).padStart(digits, "0");

/** Day and time of day in the zone, the fraction as it came; `null` if it is no such time. */
function parts(time: string, zone: Zone): { day: string; clock: string; fraction: string } | null {
  const match = RFC_3339.exec(time);
  const date = new Date(time);
  if (match === null || Number.isNaN(date.getTime())) return null;
  const fraction = match[3] ?? "";
  if (zone === "utc") {
    const iso = date.toISOString();
    return { day: iso.slice(0, 10), clock: iso.slice(11, 19), fraction };
  }
  const day = `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return { day, clock, fraction };
}

/** `12:04:01.221`, as rows of a list show it; with the day if it is not that of `today`. */
export function rowTime(time: string, zone: Zone, today?: string): string {
  const found = parts(time, zone);
  if (found === null) return time;
  const clock = `${found.clock}.${found.fraction.padEnd(3, "0").slice(0, 3)}`;
  return today === undefined || today === found.day ? clock : `${found.day.slice(5)} ${clock}`;
}

/** `2026-01-04 12:04:01.221345678`, every digit that came. */
export function fullTime(time: string, zone: Zone): string {
  const found = parts(time, zone);
  if (found === null) return time;
  return `${found.day} ${found.clock}${found.fraction === "" ? "" : `.${found.fraction}`}`;
}

/** The day of a time in the zone, `2026-01-04`. */
export function dayOf(time: string | number | Date, zone: Zone): string {
  const date = new Date(time);
  if (zone === "utc") return date.toISOString().slice(0, 10);
  return `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** `340 µs`, `12.3 ms`, `4.21 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "–";
  const size = Math.abs(milliseconds);
  const three = (value: number) => String(Number(value.toPrecision(3)));
  if (size !== 0 && size < 0.9995) return `${three(milliseconds * 1000)} µs`;
  if (size < 999.5) return `${three(milliseconds)} ms`;
  if (size < 59_950) return `${three(milliseconds / 1000)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const [hours, minutes] = [Math.trunc(seconds / 3600), Math.trunc(seconds / 60) % 60];
  return hours !== 0 ? `${hours} h ${Math.abs(minutes)} min` : `${minutes} min ${Math.abs(seconds % 60)} s`;
}

/** `just now`, `12 s ago`, `in 3 min`, `2 d ago`. */
export function relative(time: string | number | Date, now: number): string {
  const seconds = Math.round((now - new Date(time).getTime()) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return "just now";
  const [value, unit] =
    size < 60
      ? [size, "s"]
      : size < 3600
        ? [Math.round(size / 60), "min"]
        : size < 86_400
          ? [Math.round(size / 3600), "h"]
          : [Math.round(size / 86_400), "d"];
  return seconds > 0 ? `${value} ${unit} ago` : `in ${value} ${unit}`;
}
