// What one person likes, kept in this browser. Never anything that a link should carry.
//
// Theme, density and the width of the rail are applied to the root element here and, before the
// first paint, by the page's head (head.ts).
import { applyLook, KEY, readStored, themeOf, type Stored } from "./stored";

export { PAGE_SIZES, readStored, type Density, type Theme } from "./stored";

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
    return themeOf(this.#stored, this.#isSystemDark);
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
    applyLook(document.documentElement, this.#stored, this.#isSystemDark);
  }
}

export const preferences = new Preferences();
