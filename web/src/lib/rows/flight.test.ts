import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Flight, REST_MS } from "./flight";

const EXTENT = 500;

describe("a list that is dragged", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const check = (moves: [distance: number, atMs: number][], expected: boolean[], landings: number) => {
    const land = vi.fn();
    const flight = new Flight(land);
    let now = 0;
    const found = moves.map(([distance, at]) => {
      vi.advanceTimersByTime(at - now);
      now = at;
      return flight.moved(distance, EXTENT, at);
    });
    expect(found).toEqual(expected);
    vi.advanceTimersByTime(REST_MS);
    expect(land).toHaveBeenCalledTimes(landings);
  };

  it("draws a single jump", () => check([[EXTENT, 0]], [false], 0));
  it("draws jumps that are apart", () => check([[900, 0], [900, 250]], [false, false], 0));
  it("flies with the second of two jumps and lands once", () => check([[900, 0], [-900, 249], [900, 265]], [false, true, true], 1));
  it("draws a move of less than what is seen, in a drag too", () =>
    check([[900, 0], [900, 16], [EXTENT - 1, 32]], [false, true, false], 0));
  it("lands each time that it rests", () => check([[900, 0], [900, 16], [900, 16 + REST_MS]], [false, true, true], 2));
});
