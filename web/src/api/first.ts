// What the page's head has asked before any other code was here (head.ts): taken once, by who would
// ask the same.

/** A request that is under way. */
export interface Sent {
  body: string;
  response: Promise<Response>;
  /** Ends it. */
  giveUp: () => void;
}

/** The first page of the Logs screen. */
export interface FirstSearch {
  /** Moment in ms that its relative times are of. */
  now: number;
  sent: Sent;
}

declare global {
  /** The answer to who is logged in. */
  var firstSession: Promise<Response> | undefined;
  var firstSearch: FirstSearch | undefined;
}

export function takeFirstSession(): Promise<Response> | undefined {
  const first = globalThis.firstSession;
  globalThis.firstSession = undefined;
  return first;
}

export function takeFirstSearch(): FirstSearch | undefined {
  const first = globalThis.firstSearch;
  globalThis.firstSearch = undefined;
  return first;
}

/** Whether what was sent asks what the body asks. */
export function isSame(sent: Sent, body: unknown): boolean {
  return sent.body === JSON.stringify(body);
}

/** Whether a good answer is there within so many milliseconds. */
export function isGoodBy(limitMs: number, response: Promise<Response>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    const end = (isGood: boolean) => {
      clearTimeout(timer);
      resolve(isGood);
    };
    response.then(
      ({ ok }) => end(ok),
      () => end(false),
    );
  });
}
