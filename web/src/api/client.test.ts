import { afterEach, expect, test, vi } from "vitest";
import { ask, client, firstSessionOrFetch, onReached, onUnauthorized } from "./client";
import { ApiError } from "./errors";

const answer = (body: string, status = 200, headers: Record<string, string> = {}) =>
  vi.stubGlobal("fetch", async () =>
    new Response(body, { status, headers: { "content-type": "application/json", ...headers } }),
  );
const faultOf = async (promise: Promise<unknown>): Promise<ApiError> => {
  try {
    await promise;
  } catch (fault) {
    if (fault instanceof ApiError) return fault;
    throw fault;
  }
  throw new Error("it succeeded");
};
const streams = () => ask(client.GET("/api/v1/streams"));

afterEach(() => {
  vi.unstubAllGlobals();
  onReached(() => {});
  onUnauthorized(() => {});
});

test("an answer is what stands under data", async () => {
  answer('{"data":{"streams":[]}}');
  expect(await streams()).toEqual({ streams: [] });
});

test("what the page's head asked for is taken once, and the server is asked after it", async () => {
  const session = (name: string) => new Response(`{"data":{"name":"${name}"}}`, { headers: { "content-type": "application/json" } });
  vi.stubGlobal("fetch", async () => session("asked"));
  vi.stubGlobal("firstSession", Promise.resolve(session("early")));
  const current = async () => ((await ask(client.GET("/api/v1/sessions/current", { fetch: firstSessionOrFetch() }))) as { name: string }).name;
  expect(await current()).toBe("early");
  expect(await current()).toBe("asked");
});

test("a problem is told with its cause, place and request id", async () => {
  const problem = {
    type: "urn:taffrail:problem:invalid-query", title: "The query is faulty", status: 400,
    detail: "unclosed group", request_id: "r-1", start: 12, end: 13, hint: "add `)`",
  };
  answer(JSON.stringify(problem), 400, { "content-type": "application/problem+json" });
  const fault = await faultOf(streams());
  expect([fault.kind, fault.code, fault.message, fault.requestId, fault.isTransient]).toEqual([
    "problem", "invalid-query", "unclosed group", "r-1", false,
  ]);
  expect(fault.fault).toEqual({ start: 12, end: 13, hint: "add `)`" });
});

test("no answer is offline, and the next answer is the end of it", async () => {
  const heard: boolean[] = [];
  onReached((isReached) => heard.push(isReached));
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("failed to fetch")));
  const fault = await faultOf(streams());
  expect([fault.kind, fault.isTransient]).toEqual(["offline", true]);
  answer('{"data":{"streams":[]}}');
  await streams();
  expect(heard).toEqual([false, true]);
});

test("401 ends the session, but a wrong password does not", async () => {
  let ends = 0;
  onUnauthorized(() => ends++);
  const refuse = (word: string) =>
    answer(JSON.stringify({ type: `urn:taffrail:problem:${word}`, title: "No", status: 401, detail: "no", request_id: "r" }), 401);
  refuse("login-failed");
  await faultOf(ask(client.POST("/api/v1/sessions", { body: { name: "a", password: "b" } })));
  expect(ends).toBe(0);
  refuse("unauthorized");
  await faultOf(streams());
  expect(ends).toBe(1);
});

test("what was given up on purpose is no error", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new DOMException("aborted", "AbortError")));
  await expect(streams()).rejects.toBeInstanceOf(DOMException);
});

test("503 names when to ask again; a page of a proxy is unreadable", async () => {
  answer("<html>", 503, { "content-type": "text/html", "retry-after": "7", "x-request-id": "r-2" });
  const fault = await faultOf(streams());
  expect([fault.kind, fault.retryAfterSeconds, fault.requestId, fault.isTransient]).toEqual(["unreadable", 7, "r-2", true]);
});
