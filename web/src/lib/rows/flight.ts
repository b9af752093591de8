// Whether a list is dragged faster than anybody reads.
//
// Invariants
// - A single jump is drawn at once, and so is any move of less than what is seen.
// - Jumps that follow each other (the bar is dragged) are not drawn: each would put other records
//   into every row, which takes longer than a frame. The list is drawn when it rests.

/** A jump so soon after another is part of the same drag. */
const AGAIN_MS = 250;
/** The list rests when it has not moved for so long: too short to be waited for, longer than most slow frames. */
export const REST_MS = 130;

export class Flight {
  #lastJump = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `land` is called when a list that flew has come to rest. */
  constructor(private readonly land: () => void) {}

  /** Takes a move of `distance` in a window of `extent`; whether the list flies. */
  moved(distance: number, extent: number, now: number): boolean {
    const isJump = Math.abs(distance) >= extent;
    const isFlying = isJump && now - this.#lastJump < AGAIN_MS;
    if (isJump) this.#lastJump = now;
    this.stop();
    if (isFlying) this.#timer = setTimeout(this.land, REST_MS);
    return isFlying;
  }

  /** Nothing lands any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
