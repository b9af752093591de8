// Labels of the axes.

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
