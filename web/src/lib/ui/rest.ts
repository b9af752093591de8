// Work that nobody waits for: it is done when the page has come to rest, a piece in each idle moment,
// so that a press or a key that comes meanwhile waits for one piece at the most.

/** Longest wait for an idle moment once the time has come. */
const IDLE_MAX_MS = 2_000;

function idle(work: () => void): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(work, { timeout: IDLE_MAX_MS });
  else setTimeout(work);
}

/** Does the pieces in turn, the first no sooner than `afterMs` from now; returns how to do without. */
export function atRest(afterMs: number, ...pieces: (() => void)[]): () => void {
  let rest = pieces;
  function next() {
    const [piece, ...others] = rest;
    rest = others;
    piece?.();
    if (rest.length > 0) idle(next);
  }
  const timer = setTimeout(() => idle(next), afterMs);
  return () => {
    clearTimeout(timer);
    rest = [];
  };
}

/** Does the work once what is drawn now is painted; soon on a page that nobody sees. Returns how to do without. */
export function afterPaint(work: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  // A frame that was asked for is painted when its callbacks have run; what waits for that goes first.
  const next = () => (timer = setTimeout(() => (timer = setTimeout(work))));
  const frame = document.hidden ? 0 : requestAnimationFrame(next);
  if (document.hidden) next();
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}

/** Does the pieces in turn, each once what the one before has drawn is painted; returns how to do without. */
export function inTurns(...pieces: (() => void)[]): () => void {
  let stop = () => {};
  const next = (at: number) => {
    const piece = pieces[at];
    if (piece === undefined) return;
    stop = afterPaint(() => {
      piece();
      next(at + 1);
    });
  };
  next(0);
  return () => stop();
}

/** Fetches code that may be wanted. What does not come is asked for again when it is, and fails in sight. */
export const fetching = (load: () => Promise<unknown>) => () => void Promise.allSettled([load()]);
