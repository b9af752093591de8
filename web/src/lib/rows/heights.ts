// Heights of rows, most of them not known yet.
//
// Invariants
// - Every row has a height: the one that was measured, else the estimate.
// - `top(i)` is the sum of the heights before row i; `at(y)` is its inverse.
//
// A Fenwick tree over what measured rows differ from the estimate: an estimate costs nothing, and
// measuring, finding and placing a row cost O(log n). Rows that come in front shift the tree,
// which is O(n); lists that grow there (a live tail) have rows of one height and no tree.

/** Heights of a list of rows in CSS pixels. */
export class RowHeights {
  #estimate: number;
  #count: number;
  /** What row i differs from the estimate; absent while no row was measured. */
  #differences: Float64Array | null = null;
  #tree: Float64Array | null = null;

  constructor(count: number, estimate: number) {
    this.#count = count;
    this.#estimate = estimate;
  }

  get count(): number {
    return this.#count;
  }

  /** Height of all rows together. */
  get total(): number {
    return this.top(this.#count);
  }

  height(row: number): number {
    return this.#estimate + (this.#differences?.[row] ?? 0);
  }

  /** Where row `row` begins; of `count`, where the last one ends. */
  top(row: number): number {
    let sum = row * this.#estimate;
    if (this.#tree !== null) {
      for (let at = row; at > 0; at -= at & -at) sum += this.#tree[at] ?? 0;
    }
    return sum;
  }

  /** The row that covers offset `y`; the nearest one outside of the list, 0 of an empty list. */
  at(y: number): number {
    if (this.#count === 0 || y <= 0) return 0;
    if (this.#tree === null) return Math.min(this.#count - 1, Math.floor(y / this.#estimate));
    let row = 0;
    let rest = y;
    for (let step = 1 << (31 - Math.clz32(this.#count)); step > 0; step >>= 1) {
      const next = row + step;
      if (next > this.#count) continue;
      const height = step * this.#estimate + (this.#tree[next] ?? 0);
      if (height <= rest) {
        row = next;
        rest -= height;
      }
    }
    return Math.min(this.#count - 1, row);
  }

  /** Takes a measured height; returns by how much it changed. */
  measure(row: number, height: number): number {
    if (row < 0 || row >= this.#count) return 0;
    const change = height - this.height(row);
    if (change === 0) return 0;
    this.#differences ??= new Float64Array(this.#count);
    this.#tree ??= new Float64Array(this.#count + 1);
    this.#differences[row] = (this.#differences[row] ?? 0) + change;
    for (let at = row + 1; at <= this.#count; at += at & -at) {
      this.#tree[at] = (this.#tree[at] ?? 0) + change;
    }
    return change;
  }

  /** Changes the list: `front` rows come (or go, if negative) in front, to `count` rows in all. */
  resize(count: number, front = 0): void {
    const before = this.#differences;
    const kept = this.#count;
    this.#count = count;
    if (before === null) return;
    this.#differences = new Float64Array(count);
    for (let row = Math.max(0, -front); row < kept && row + front < count; row += 1) {
      this.#differences[row + front] = before[row] ?? 0;
    }
    this.#build();
  }

  /** Forgets what was measured, as when columns or wrapping change. */
  reset(estimate: number): void {
    this.#estimate = estimate;
    this.#differences = null;
    this.#tree = null;
  }

  #build(): void {
    const tree = new Float64Array(this.#count + 1);
    for (let at = 1; at <= this.#count; at += 1) {
      tree[at] = (tree[at] ?? 0) + (this.#differences?.[at - 1] ?? 0);
      const parent = at + (at & -at);
      if (parent <= this.#count) tree[parent] = (tree[parent] ?? 0) + (tree[at] ?? 0);
    }
    this.#tree = tree;
  }
}
