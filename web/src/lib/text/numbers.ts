// Numbers as they are shown.

/**
 * Thousands apart, at most three digits after the point. `Intl` does the same, but reading its
 * tables takes as long as drawing the shell.
 */
function grouped(value: number): string {
  const [digits = "", fraction] = String(Math.round(value * 1_000) / 1_000).split(".");
  const apart = digits.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? apart : `${apart}.${fraction}`;
}

/** `1,284`: exact. */
export function count(value: number): string {
  return grouped(value);
}

/** `12.35`, `-0.00012`: three digits after the point, or three that say something. */
export function decimal(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001 ? String(Number(value.toPrecision(3))) : grouped(value);
}

/** `312`, `1,284`, `12.8k`, `1.3M`: short, for chips and axes; exact below 10,000, never rounded up. */
export function shortCount(value: number): string {
  if (Math.abs(value) < 10_000) return grouped(Math.trunc(value * 100) / 100);
  for (const [size, unit] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (Math.abs(value) < size) continue;
    const scaled = value / size;
    const shown = Math.abs(scaled) < 100 ? Math.trunc(scaled * 10) / 10 : Math.trunc(scaled);
    return `${shown}${unit}`;
  }
  return grouped(value);
}

/** `340 B`, `4.2 KiB`, `1.0 MiB`. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${Math.round(scaled)} B` : `${scaled.toFixed(1)} ${units[unit]}`;
}
