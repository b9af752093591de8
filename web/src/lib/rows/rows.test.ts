import { describe, expect, it } from "vitest";
import { RowHeights } from "./heights";
import { Ring } from "./ring";
import { ROW_NODES_MAX, RowWindow } from "./window";

/** Numbers that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("heights", () => {
  it("are those of a plain list, whatever is measured and however it grows", () => {
    const next = numbers(7);
    let plain: number[] = Array.from({ length: 50 }, () => 24);
    const heights = new RowHeights(50, 24);
    for (let round = 0; round < 2000; round += 1) {
      const dice = next();
      if (dice < 0.8 && plain.length > 0) {
        const row = Math.floor(next() * plain.length);
        const height = Math.floor(next() * 200) + 1;
        plain[row] = height;
        heights.measure(row, height);
      } else if (dice < 0.9) {
        const more = Math.floor(next() * 5);
        plain = [...plain, ...Array.from({ length: more }, () => 24)];
        heights.resize(plain.length);
      } else {
        const front = Math.floor(next() * 7) - 3;
        plain =
          front >= 0
            ? [...Array.from({ length: front }, () => 24), ...plain]
            : plain.slice(Math.min(-front, plain.length));
        heights.resize(plain.length, front);
      }
      const total = plain.reduce((sum, height) => sum + height, 0);
      expect(heights.total).toBe(total);
      const y = next() * total;
      let row = 0;
      for (let top = 0; row < plain.length - 1 && top + (plain[row] ?? 0) <= y; row += 1) {
        top += plain[row] ?? 0;
      }
      expect(heights.at(y)).toBe(row);
    }
  });
});

describe("the window", () => {
  it("never has more nodes than allowed", () => {
    const window = new RowWindow(100_000, 22);
    for (const extent of [0, 100, 1080, 5000, 100_000]) {
      for (const scroll of [0, 21, 22, 1_100_000, 2_199_999, 9e9]) {
        window.view(scroll, extent);
        const slice = window.slice();
        expect(slice.end - slice.first).toBeLessThanOrEqual(ROW_NODES_MAX);
        expect(slice.end).toBeGreaterThan(slice.first);
      }
    }
  });

  it("covers what is seen", () => {
    const window = new RowWindow(1000, 24);
    window.view(2410, 480);
    const slice = window.slice();
    expect(slice.first).toBeLessThanOrEqual(100);
    expect(slice.end).toBeGreaterThanOrEqual(121);
    expect(slice.top).toBe(slice.first * 24);
  });

  it("stays in place when rows come in front", () => {
    const window = new RowWindow(100, 20);
    window.view(205, 400);
    expect(window.resize(130, 30)).toBe(805);
  });

  it("stays at the very top when rows come in front of it", () => {
    const window = new RowWindow(100, 20);
    window.view(0, 400);
    expect(window.resize(130, 30)).toBe(0);
  });

  it("stays in place at the very top of a list that is anchored", () => {
    const window = new RowWindow(100, 20);
    window.view(0, 400);
    expect(window.resize(130, 30, true)).toBe(600);
  });

  it("stays in place when rows go in front", () => {
    const window = new RowWindow(100, 20);
    window.view(1005, 400);
    expect(window.resize(90, -10)).toBe(805);
  });

  it("stays in place when a row above it turns out higher", () => {
    const window = new RowWindow(100, 20);
    window.view(200, 400);
    expect(window.measure(3, 60)).toBe(240);
    expect(window.measure(15, 60)).toBe(240);
  });

  it("moves as little as possible to reveal a row", () => {
    const window = new RowWindow(100, 20);
    window.view(200, 400);
    expect(window.reveal(5)).toBe(100);
    expect(window.reveal(12)).toBe(200);
    expect(window.reveal(40)).toBe(420);
  });
});

describe("the ring", () => {
  it("keeps the newest and counts what went", () => {
    const ring = new Ring<number>(3);
    expect(ring.push([1, 2])).toBe(0);
    expect(ring.push([3, 4])).toBe(1);
    expect(ring.slice(0, 9)).toEqual([2, 3, 4]);
    expect(ring.first).toBe(1);
    expect(ring.push([5, 6, 7, 8, 9])).toBe(5);
    expect(ring.slice(0, 9)).toEqual([7, 8, 9]);
    expect(ring.first).toBe(6);
    expect(ring.at(3)).toBeUndefined();
  });

  it("goes on counting after it was cleared", () => {
    const ring = new Ring<string>(2);
    ring.push(["a", "b", "c"]);
    ring.clear();
    ring.push(["d"]);
    expect(ring.first).toBe(3);
    expect(ring.at(0)).toBe("d");
  });
});
