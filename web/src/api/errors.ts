// What can go wrong between a panel and the server, as one type that every panel can show.
import type { components } from "./schema";

export type Problem = components["schemas"]["ProblemDocument"];

/** `offline`: no answer came. `problem`: the server said why. `unreadable`: an answer without a reason. */
export type ErrorKind = "offline" | "problem" | "unreadable";

const PREFIX = "urn:taffrail:problem:";

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly kind: ErrorKind,
    message: string,
    /** 0 when no answer came. */
    readonly status: number = 0,
    readonly problem: Problem | null = null,
    readonly requestId: string | null = null,
    /** Seconds after which the server wants to be asked again. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
  }

  /** The last part of the problem's type, such as `invalid-query`; empty without a problem. */
  get code(): string {
    const type = this.problem?.type ?? "";
    return type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type;
  }

  /** Whether asking the same again may go better. */
  get isTransient(): boolean {
    return this.kind === "offline" || this.status === 429 || this.status >= 502;
  }

  /** For a faulty query: the characters at fault. */
  get fault(): { start: number; end: number; hint: string | null } | null {
    const { start, end, hint } = this.problem ?? {};
    if (typeof start !== "number") return null;
    return { start, end: end ?? start + 1, hint: hint ?? null };
  }
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "title" in value && "status" in value;
}

/** The error of an answer that is no success. */
export function errorOf(response: Response, body: unknown): ApiError {
  const requestId = response.headers.get("x-request-id");
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : null;
  if (isProblem(body)) {
    const id = body.request_id || requestId;
    return new ApiError("problem", body.detail || body.title, response.status, body, id, retryAfter);
  }
  const text = `the server answered ${response.status} without a reason`;
  return new ApiError("unreadable", text, response.status, null, requestId, retryAfter);
}

/** Any thrown value as an `ApiError`; `null` for a request that was given up on purpose. */
export function asApiError(fault: unknown): ApiError | null {
  if (fault instanceof ApiError) return fault;
  if (fault instanceof DOMException && fault.name === "AbortError") return null;
  if (fault instanceof TypeError) return new ApiError("offline", "the server cannot be reached");
  return new ApiError("unreadable", fault instanceof Error ? fault.message : String(fault));
}
