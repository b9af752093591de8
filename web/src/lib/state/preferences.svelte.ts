// What one person likes, kept in this browser. Never anything that a link should carry.
//
// Theme, density and the width of the rail are applied to the root element here and, before the
// first paint, by the script in index.html, which knows the same key and names.

export type Theme = "system" | "light" | "dark";
export type Density = "compact" | "comfortable" | "relaxed";

interface Stored {
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

const KEY = "taffrail.preferences";
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

function load(): Stored {
  try {
    return readStored(globalThis.localStorage?.getItem(KEY) ?? null);
  } catch {
    return readStored(null);
  }
}

class Preferences {
  #stored = $state(load());
  #isSystemDark = $state(globalThis.matchMedia?.("(prefers-color-scheme: dark)").matches ?? false);

  get values(): Readonly<Stored> {
    return this.#stored;
  }

  /** The theme that shows. */
  get shownTheme(): "light" | "dark" {
    const { theme } = this.#stored;
    return theme === "system" ? (this.#isSystemDark ? "dark" : "light") : theme;
  }

  /** Height of a row of records in px, as in tokens.css. */
  get rowHeight(): number {
    if (globalThis.matchMedia?.("(pointer: coarse)").matches) return 32;
    return { compact: 22, comfortable: 24, relaxed: 32 }[this.#stored.density];
  }

  set(part: Partial<Stored>): void {
    this.#stored = { ...this.#stored, ...part };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#stored));
    } catch {
      // Storage is full or forbidden: the choice holds for this page.
    }
    this.#apply();
  }

  toggleTheme(): void {
    this.set({ theme: this.shownTheme === "dark" ? "light" : "dark" });
  }

  /** Follows the system's theme and choices made in other tabs; returns how to stop. */
  start(): () => void {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => {
      this.#isSystemDark = query.matches;
      this.#apply();
    };
    const other = (event: StorageEvent) => {
      if (event.key !== KEY) return;
      this.#stored = load();
      this.#apply();
    };
    query.addEventListener("change", follow);
    addEventListener("storage", other);
    this.#apply();
    return () => {
      query.removeEventListener("change", follow);
      removeEventListener("storage", other);
    };
  }

  #apply(): void {
    const root = document.documentElement;
    root.dataset.theme = this.shownTheme;
    root.dataset.density = this.#stored.density;
    root.dataset.rail = this.#stored.isRailCollapsed ? "narrow" : "wide";
  }
}

export const preferences = new Preferences();
