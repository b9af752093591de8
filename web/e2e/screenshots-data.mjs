// One hour of an MCP platform as people would find it: sessions of agents, their tool calls, and an
// incident (a database without free connections) that spreads. The same for the same seed, for
// screenshots and for the checks of every state.

/** The stream of all of them. */
export const STREAM = "app.backend";
export const USER = "u-lena";
const HOUR_MS = 3_600_000;
/** Part of the hour in which the incident happens. */
const INCIDENT = [0.58, 0.68];

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function numbersOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const TOOLS = [
  { server: "figma-mcp", name: "figma.get_file_nodes", path: "/v1/files/qW3x/nodes", usual: 380 },
  { server: "figma-mcp", name: "figma.export_image", path: "/v1/images/qW3x", usual: 1_250 },
  { server: "github-mcp", name: "github.search_code", path: "/search/code", usual: 540 },
  { server: "github-mcp", name: "github.create_pull_request", path: "/repos/acme/web/pulls", usual: 890 },
  { server: "postgres-mcp", name: "postgres.query", path: "/query", usual: 46 },
  { server: "browser-mcp", name: "browser.screenshot", path: "/screenshot", usual: 2_100 },
];
const USERS = ["u-lena", "u-marek", "u-sofia", "u-jonas", "u-priya", "u-tomas", "u-aiko"];
const SERVICES = { "u-lena": "figma", "u-marek": "github", "u-sofia": "postgres", "u-jonas": "browser", "u-priya": "figma", "u-tomas": "github", "u-aiko": "figma" };
const MODELS = ["sonnet-large", "sonnet-small", "atlas-2"];
const STEPS = [
  "read the design file, then write tokens.css",
  "compare open pull requests with the release notes",
  "find the slowest query of yesterday and explain it",
  "check that every page has a description",
  "summarise the incident of last night for the team",
];
const STACK = `sqlx::Error: pool timed out while waiting for an open connection
    at acquire (src/pool/inner.rs:227)
    at fetch_all (src/query.rs:118)
    at tools::postgres::query (src/tools/postgres.rs:64)
    at session::dispatch (src/session.rs:311)`;

class Maker {
  constructor(seed) {
    this.random = numbersOf(seed);
    this.records = [];
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  hex(digits) {
    return Array.from({ length: digits }, () => Math.floor(this.random() * 16).toString(16)).join("");
  }

  put(time, level, source, logger, message, more = {}) {
    this.records.push({ timestamp: new Date(time).toISOString(), level, source, logger, message, ...more });
  }

  /** One session of an agent: initialise, some steps with tool calls, end. */
  session(time, isIncident) {
    const user_id = this.pick(USERS);
    const ids = { trace_id: this.hex(32), session_id: `ses_${this.hex(10)}`, user_id, instance_id: `mcp-${user_id.slice(2)}` };
    const model = this.pick(MODELS);
    let at = time;
    this.put(at, "info", "mcp-gateway", "session", `initialize from studio-desktop/1.9.2, protocol 2025-11-25`, {
      ...ids,
      client: { name: "studio-desktop", version: "1.9.2" },
    });
    this.put((at += 8 + this.random() * 20), "debug", "mcp-gateway", "tools", `tools/list answered 38 tools in ${Math.ceil(this.random() * 14)} ms`, ids);
    const steps = 2 + Math.floor(this.random() * 4);
    const task = this.pick(STEPS);
    for (let step = 1; step <= steps; step += 1) {
      at += 200 + this.random() * 2_500;
      this.put(at, "info", "agent-runner", "plan", `step ${step}/${steps}: ${task}`, { ...ids, model, step });
      at = this.call(at + 40 + this.random() * 400, ids, isIncident);
      const tokens = Math.floor(200 + this.random() * 3_800);
      at += 400 + this.random() * 2_000;
      this.put(at, "info", "agent-runner", "model", `${model} answered ${tokens.toLocaleString("en-US")} tokens in ${(tokens / 610).toFixed(1)} s`, {
        ...ids,
        model,
        usage: { input_tokens: tokens * 6, output_tokens: tokens, cached: this.random() < 0.7 },
      });
    }
    if (this.random() < 0.25) {
      this.put((at += 30), "info", "billing", "meter", `session billed: ${(this.random() * 0.4).toFixed(4)} USD for ${steps} steps`, ids);
    }
  }

  /** One tool call; the moment at which it ended. */
  call(time, ids, isIncident) {
    const tool = isIncident && this.random() < 0.6 ? TOOLS[4] : this.pick(TOOLS);
    const isFailing = tool.server === "postgres-mcp" ? isIncident && this.random() < 0.8 : this.random() < 0.012;
    const duration_ms = Math.round(isFailing ? 30_000 : tool.usual * (0.6 + this.random() ** 3 * 3));
    const request_id = `req_${this.hex(12)}`;
    const http = { method: "POST", path: tool.path, status: isFailing ? 504 : 200 };
    const more = { ...ids, tool: { name: tool.name, attempt: 1 }, request_id };
    this.put(time, "debug", tool.server, "transport", `→ tools/call ${tool.name} (${request_id})`, more);
    const end = time + Math.min(duration_ms, 4_000);
    if (!isFailing) {
      const isSlow = duration_ms > tool.usual * 2.6;
      const text = isSlow
        ? `slow answer: tools/call ${tool.name} took ${duration_ms} ms, usually ${tool.usual} ms`
        : `tools/call ${tool.name} answered 200 in ${duration_ms} ms`;
      this.put(end, isSlow ? "warn" : "info", "mcp-gateway", "tools", text, { ...more, http, duration_ms });
      return end;
    }
    if (tool.server === "postgres-mcp") {
      this.put(end - 20, "error", tool.server, "pool", STACK, { ...more, error: { kind: "PoolTimedOut", retryable: true }, pool: { size: 20, idle: 0, waiting: 41 } });
    }
    this.put(end, "error", "mcp-gateway", "tools", `tools/call ${tool.name} failed: upstream ${tool.server} timed out after 30000 ms`, {
      ...more,
      http,
      duration_ms,
      error: { kind: "UpstreamTimeout", retryable: true },
    });
    return end + 5;
  }
}

/** Records of the hour before `end` (ms), about twelve for each of `sessions`. */
export function demoRecords(end, sessions = 2_400, seed = 7) {
  const maker = new Maker(seed);
  const start = end - HOUR_MS;
  for (let i = 0; i < sessions; i += 1) {
    // More at some times than at others, as days are.
    const part = (i + maker.random()) / sessions;
    const at = start + HOUR_MS * (part + 0.018 * Math.sin(part * 21) + 0.008 * Math.sin(part * 67));
    maker.session(at, part > INCIDENT[0] && part < INCIDENT[1]);
  }
  const at = (part) => start + HOUR_MS * part;
  maker.put(at(INCIDENT[0] + 0.02), "critical", "postgres-mcp", "pool", "no free connection for 60 s: refusing new sessions until the pool recovers", {
    pool: { size: 20, idle: 0, waiting: 96 },
    error: { kind: "PoolExhausted", retryable: false },
  });
  maker.put(at(INCIDENT[1]), "info", "postgres-mcp", "pool", "pool recovered: 20 connections, 14 idle", { pool: { size: 20, idle: 14, waiting: 0 } });
  for (let minute = 0; minute < 60; minute += 1) {
    maker.put(at(minute / 60), "trace", "scheduler", "heartbeat", `\u001b[32mok\u001b[0m 9 servers, 0 restarts, \u001b[36m${180 + minute}\u001b[0m MB`);
  }
  return maker.records.filter((record) => Date.parse(record.timestamp) < end).sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
}

/** Fills a server: records in pieces, people, instances, a key. */
export async function fill(server, end) {
  const records = demoRecords(end);
  const PIECE = 5_000;
  for (let from = 0; from < records.length; from += PIECE) await server.send(STREAM, records.slice(from, from + PIECE));
  for (const user of USERS) {
    const service = SERVICES[user];
    await server.post("/api/v1/mcps", { id: `mcp-${user.slice(2)}`, service, user_id: user });
  }
  return records.length;
}
