// What one person likes as it is kept in the browser: how it is read, and what of it the root element
// shows. The page's head uses it before any other code is here (head.ts), `preferences` from then on.

export type Theme = "system" | "light" | "dark";
export type Density = "compact" | "comfortable" | "relaxed";

export interface Stored {
  theme: Theme;
  density: Density;
  isRailCollapsed: boolean;
  /** Shortcuts of one letter; those with Ctrl or ⌘ always work. */
  areKeysOn: boolean;
  /** Columns of the Logs screen when its address names none. */
  columns: string[];
  isWrapped: boolean;
  /** Records that the list asks for at once. */
  pageRecords: number;
  /** Fields that are always offered as facets. */
  pinnedFields: string[];
  isFacetsShown: boolean;
  facetsWidth: number;
  detailWidth: number;
}

/** What `pageRecords` may be: from a phone's few screens to the most that come in a moment. */
export const PAGE_SIZES: readonly number[] = [50, 100, 200, 500, 1_000];

export const KEY = "taffrail.preferences";
const DEFAULTS: Stored = {
  theme: "system",
  density: "compact",
  isRailCollapsed: false,
  areKeysOn: true,
  columns: [],
  isWrapped: false,
  pageRecords: 200,
  pinnedFields: [],
  isFacetsShown: true,
  facetsWidth: 220,
  detailWidth: 460,
};

/** Values of the right kind from what was stored; anything else is its default. */
export function readStored(text: string | null): Stored {
  let stored: unknown = null;
  try {
    stored = JSON.parse(text ?? "null");
  } catch {
    // Not ours, or damaged: the defaults.
  }
  const result: Record<string, unknown> = { ...DEFAULTS };
  if (typeof stored === "object" && stored !== null) {
    for (const [name, value] of Object.entries(stored)) {
      const usual = (DEFAULTS as unknown as Record<string, unknown>)[name];
      const isList = Array.isArray(usual);
      const isAlike = typeof value === typeof usual && Array.isArray(value) === isList;
      const isTexts = !isList || (value as unknown[]).every((item) => typeof item === "string");
      if (isAlike && isTexts) result[name] = value;
    }
  }
  const read = result as unknown as Stored;
  if (!["system", "light", "dark"].includes(read.theme)) read.theme = DEFAULTS.theme;
  if (!["compact", "comfortable", "relaxed"].includes(read.density)) read.density = DEFAULTS.density;
  if (!PAGE_SIZES.includes(read.pageRecords)) read.pageRecords = DEFAULTS.pageRecords;
  return read;
}

/** The theme that shows. */
export function themeOf({ theme }: Pick<Stored, "theme">, isSystemDark: boolean): "light" | "dark" {
  return theme === "system" ? (isSystemDark ? "dark" : "light") : theme;
}

/** Theme, density and width of the rail, as the styles read them. */
export function applyLook(root: HTMLElement, stored: Stored, isSystemDark: boolean): void {
  root.dataset.theme = themeOf(stored, isSystemDark);
  root.dataset.density = stored.density;
  root.dataset.rail = stored.isRailCollapsed ? "narrow" : "wide";
}
