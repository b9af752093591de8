// The typed client: shapes come from the OpenAPI document, never from hand.
//
// `ask` turns every failure into an `ApiError`, so that a panel has one thing to show. An answer
// that carries a session's end (401) is told to `onUnauthorized` besides, at one place.
import createClient from "openapi-fetch";
import { ApiError, asApiError, errorOf } from "./errors";
import { takeFirstSession, type Sent } from "./first";
import { parseJson } from "./json";
import type { paths, components } from "./schema";

export type Schemas = components["schemas"];

/** Told about every 401 but that of the login itself. */
let unauthorized: () => void = () => {};
export function onUnauthorized(callback: () => void): void {
  unauthorized = callback;
}

/** Told whether the last request got an answer of any kind. */
let reached: (isReached: boolean) => void = () => {};
export function onReached(callback: (isReached: boolean) => void): void {
  reached = callback;
}

/** A fetch that gives the answer of the page's head once, if it has asked; to be asked itself after. */
export function firstSessionOrFetch(): typeof fetchText {
  const early = takeFirstSession();
  return (request) => fetchText(request, early);
}

/** A fetch that gives the answer to what was sent already. */
export function answered(sent: Sent): typeof fetchText {
  return (request) => {
    request.signal.addEventListener("abort", sent.giveUp);
    return fetchText(request, sent.response);
  };
}

/** Fetch whose bodies keep numbers as they came (see json.ts). */
async function fetchText(request: Request, early?: Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await (early ?? fetch(request));
  } catch (fault) {
    const error = asApiError(fault);
    if (error === null) throw fault;
    reached(false);
    throw error;
  }
  reached(true);
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  if (!isJson || response.status === 204) return response;
  const text = await response.text();
  const { status, statusText } = response;
  // With a length the library asks `json()`, which is ours; without one it would parse by itself.
  const headers = new Headers(response.headers);
  headers.set("content-length", String(text.length || 1));
  const read = new Response(text, { status, statusText, headers });
  read.json = async () => parseJson(text);
  return read;
}

export const client = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "http://localhost",
  fetch: fetchText,
  // Sent by our own pages alone; a changing request under the cookie needs it where the browser
  // does not say which site it comes from.
  headers: { "X-Requested-With": "taffrail" },
});

interface Outcome<Body> {
  data?: Body;
  error?: unknown;
  response: Response;
}

/** What `{"data": …}` of an answer holds; throws an `ApiError` for anything but success. */
export async function ask<Data>(outcome: Promise<Outcome<{ data: Data }>>): Promise<Data> {
  const body = await settle(outcome);
  if (body === undefined) throw new ApiError("unreadable", "the answer is empty");
  return body.data;
}

/** Success or an `ApiError`, for answers without a body. */
export async function done(outcome: Promise<Outcome<unknown>>): Promise<void> {
  await settle(outcome);
}

async function settle<Body>(outcome: Promise<Outcome<Body>>): Promise<Body | undefined> {
  let result: Outcome<Body>;
  try {
    result = await outcome;
  } catch (fault) {
    throw asApiError(fault) ?? fault;
  }
  const { response } = result;
  if (response.ok) return result.data;
  const error = errorOf(response, result.error);
  if (response.status === 401 && error.code !== "login-failed") unauthorized();
  throw error;
}
