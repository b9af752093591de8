// The last N items of a stream that has no end.
//
// Invariants
// - Holds at most `capacity` items, the newest ones; what went is counted.
// - Item i has a number, `first + i`, which it keeps as long as it is here: a key for rows.

/** A bounded list that forgets at its front. */
export class Ring<Item> {
  readonly capacity: number;
  #items: (Item | undefined)[] = [];
  #start = 0;
  #length = 0;
  #first = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`the capacity is a whole number from 1 on, not ${capacity}`);
    }
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** Number of the oldest item that is here: how many went before it. */
  get first(): number {
    return this.#first;
  }

  at(index: number): Item | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#items[(this.#start + index) % this.capacity];
  }

  /** Appends; returns how many went at the front. */
  push(items: readonly Item[]): number {
    const skipped = Math.max(0, items.length - this.capacity);
    let gone = skipped;
    for (const item of skipped > 0 ? items.slice(skipped) : items) {
      this.#items[(this.#start + this.#length) % this.capacity] = item;
      if (this.#length < this.capacity) this.#length += 1;
      else {
        this.#start = (this.#start + 1) % this.capacity;
        gone += 1;
      }
    }
    this.#first += gone;
    return gone;
  }

  slice(from: number, to: number): Item[] {
    const items: Item[] = [];
    for (let index = Math.max(0, from); index < Math.min(to, this.#length); index += 1) {
      items.push(this.at(index) as Item);
    }
    return items;
  }

  clear(): void {
    this.#first += this.#length;
    this.#items = [];
    this.#start = 0;
    this.#length = 0;
  }
}
