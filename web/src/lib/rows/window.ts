// Which rows of a long list are in the document.
//
// Invariants
// - At most ROW_NODES_MAX rows are, however large the list or the window is.
// - Rows that come in front or that are measured above the window do not move what is seen: the
//   scroll offset is corrected by what they add.
import { RowHeights } from "./heights";

/** Rows in the document at once: a screen of 22 px rows is about 60. */
export const ROW_NODES_MAX = 120;
/** Rows beyond each edge of the window, so that a turn of the wheel finds them drawn; each costs every frame. */
const OVERSCAN_ROWS = 5;

/** The rows to draw, and where. */
export interface Slice {
  /** First row, included. */
  first: number;
  /** Last row, not included. */
  end: number;
  /** Where the first row begins, in pixels from the top of the list. */
  top: number;
  /** Height of the whole list. */
  total: number;
}

/** The window over a list of rows: pure arithmetic, the component does the drawing. */
export class RowWindow {
  readonly heights: RowHeights;
  #scroll = 0;
  #extent = 0;

  constructor(count: number, estimate: number) {
    this.heights = new RowHeights(count, estimate);
  }

  get scroll(): number {
    return this.#scroll;
  }

  /** Takes where the user scrolled to and how high the window is. */
  view(scroll: number, extent: number): void {
    this.#scroll = Math.max(0, scroll);
    this.#extent = Math.max(0, extent);
  }

  /** What to draw. */
  slice(): Slice {
    const { heights } = this;
    if (heights.count === 0) return { first: 0, end: 0, top: 0, total: 0 };
    const top = heights.at(this.#scroll);
    const bottom = heights.at(this.#scroll + this.#extent) + 1;
    const seen = Math.min(bottom - top, ROW_NODES_MAX);
    const spare = Math.min(OVERSCAN_ROWS, Math.floor((ROW_NODES_MAX - seen) / 2));
    const first = Math.max(0, top - spare);
    const end = Math.min(heights.count, top + seen + spare);
    return { first, end, top: heights.top(first), total: heights.total };
  }

  /** Takes the height of a drawn row; returns the scroll offset that keeps what is seen in place. */
  measure(row: number, height: number): number {
    const above = this.heights.top(row + 1) <= this.#scroll;
    const change = this.heights.measure(row, height);
    if (above) this.#scroll += change;
    return this.#scroll;
  }

  /**
   * Changes the list; returns the scroll offset that keeps what is seen in place. At the very top
   * it stays there when rows come in front, unless the list `isAnchored` in its middle.
   */
  resize(count: number, front = 0, isAnchored = false): number {
    const anchor = this.heights.at(this.#scroll);
    const within = this.#scroll - this.heights.top(anchor);
    const held = front !== 0 && this.heights.count > 0 && (this.#scroll > 0 || isAnchored);
    this.heights.resize(count, front);
    if (held) this.#scroll = this.heights.top(Math.min(count, Math.max(0, anchor + front))) + within;
    this.#scroll = Math.min(this.#scroll, Math.max(0, this.heights.total - this.#extent));
    return this.#scroll;
  }

  /** The scroll offset that shows the row with as little movement as possible. */
  reveal(row: number): number {
    const top = this.heights.top(row);
    const bottom = top + this.heights.height(row);
    if (top < this.#scroll) return top;
    if (bottom > this.#scroll + this.#extent) return Math.max(0, bottom - this.#extent);
    return this.#scroll;
  }

  /** The scroll offset that puts the row into the middle. */
  centre(row: number): number {
    const middle = this.heights.top(row) + this.heights.height(row) / 2;
    const last = Math.max(0, this.heights.total - this.#extent);
    return Math.min(last, Math.max(0, middle - this.#extent / 2));
  }

  /** Whether the end of the list is seen, give or take a row. */
  get atEnd(): boolean {
    return this.#scroll + this.#extent >= this.heights.total - 2;
  }
}
