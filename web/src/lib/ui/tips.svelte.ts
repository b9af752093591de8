// The one tooltip that shows. Appears after a moment of hovering, at once when another has just
// shown or on keyboard focus; Escape, a press and scrolling take it away.

export type Side = "top" | "right" | "bottom" | "left";

export interface Tip {
  anchor: HTMLElement;
  text: string;
  keys: string | undefined;
  side: Side;
}

const DELAY_MS = 350;
/** So long after a tooltip went the next comes at once. */
const WARM_MS = 300;

class Tips {
  shown = $state.raw<Tip | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #gone = 0;

  want(tip: Tip, isAtOnce: boolean): void {
    clearTimeout(this.#timer);
    const isWarm = this.shown !== null || performance.now() - this.#gone < WARM_MS;
    if (isAtOnce || isWarm) this.shown = tip;
    else this.#timer = setTimeout(() => (this.shown = tip), DELAY_MS);
  }

  drop(): void {
    clearTimeout(this.#timer);
    if (this.shown === null) return;
    this.shown = null;
    this.#gone = performance.now();
  }
}

export const tips = new Tips();

/** Place of a box beside its anchor, flipped or moved where it would leave the page. */
export function place(
  anchor: { left: number; top: number; right: number; bottom: number },
  box: { width: number; height: number },
  side: Side,
  page: { width: number; height: number },
): { left: number; top: number } {
  const GAP = 6;
  const EDGE = 8;
  const fits: Record<Side, boolean> = {
    top: anchor.top - GAP - box.height >= EDGE,
    bottom: anchor.bottom + GAP + box.height <= page.height - EDGE,
    left: anchor.left - GAP - box.width >= EDGE,
    right: anchor.right + GAP + box.width <= page.width - EDGE,
  };
  const OPPOSITE: Record<Side, Side> = { top: "bottom", bottom: "top", left: "right", right: "left" };
  const at = !fits[side] && fits[OPPOSITE[side]] ? OPPOSITE[side] : side;
  const middle = { x: (anchor.left + anchor.right - box.width) / 2, y: (anchor.top + anchor.bottom - box.height) / 2 };
  const wanted = {
    top: { left: middle.x, top: anchor.top - GAP - box.height },
    bottom: { left: middle.x, top: anchor.bottom + GAP },
    left: { left: anchor.left - GAP - box.width, top: middle.y },
    right: { left: anchor.right + GAP, top: middle.y },
  }[at];
  const inside = (value: number, size: number, whole: number) => Math.max(EDGE, Math.min(value, whole - size - EDGE));
  return { left: inside(wanted.left, box.width, page.width), top: inside(wanted.top, box.height, page.height) };
}
