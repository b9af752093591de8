// The six levels: order, words, and which token colours them.

/** From the least to the most severe. */
export const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;
export type Level = (typeof LEVELS)[number];

export function isLevel(word: unknown): word is Level {
  return typeof word === "string" && (LEVELS as readonly string[]).includes(word);
}

/** The word as rows show it; six letters at most, so that they align. */
export function levelWord(level: string): string {
  return level === "critical" ? "CRIT" : level.toUpperCase();
}

export const levelColor = (level: string) => `var(--level-${isLevel(level) ? level : "trace"})`;
export const chartColor = (level: string) => `var(--chart-${isLevel(level) ? level : "other"})`;
