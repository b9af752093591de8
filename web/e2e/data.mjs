// The records of the journeys: what an MCP platform logs, made by numbers alone.
//
// Record `i` is a pure function of `i`, so that what the page shows is compared with what was made
// and never with what the server says. `facts(i)` is cheap enough to count over all of them.

export const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"];
export const SOURCES = ["mcp-gw", "figma-mcp", "agent-runner", "tool-executor", "billing", "scheduler"];
export const LOGGERS = ["http", "session", "tools", "auth"];
export const TOOLS = ["figma.get_file", "github.search", "slack.post", "postgres.query", "browser.open"];
export const USERS = 40;
/** The stream of all of them. */
export const STREAM = "app.backend";
/** All records lie in so much time. */
export const SPAN_MS = 6 * 3_600_000;
/** Records of one trace. */
export const TRACE_RECORDS = 8;

const pad = (value, digits) => String(value).padStart(digits, "0");

/** A well mixed number of 32 bits for a number. */
function mixed(value) {
  let bits = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** How many of a thousand records have each level, from `trace` on. */
const SHARES = [20, 150, 700, 90, 38, 2];

function levelOf(bits, isBurst) {
  let rest = bits % 1000;
  if (isBurst && rest < 300) return 4;
  for (const [level, share] of SHARES.entries()) {
    if (rest < share) return level;
    rest -= share;
  }
  return 2;
}

export class Data {
  /** `count` records whose last one was at most at `end` (ms). */
  constructor(count, end) {
    this.count = count;
    this.end = Math.floor(end / 1000) * 1000;
    this.start = this.end - SPAN_MS;
  }

  /** Milliseconds at which record `i` happened; records are in order of time. */
  time(i) {
    return this.start + Math.floor((i * SPAN_MS) / this.count);
  }

  /** First record at or after a moment. */
  at(time) {
    return Math.min(this.count, Math.max(0, Math.ceil(((time - this.start) * this.count) / SPAN_MS)));
  }

  /** What is counted, as numbers: level, source, logger, user, trace, tool, status, duration. */
  facts(i) {
    const bits = mixed(i);
    // Four traces at a time, their records in turn.
    const trace = Math.floor(i / (4 * TRACE_RECORDS)) * 4 + (i % 4);
    const source = mixed(trace * 7 + ((i >> 2) & 1)) % SOURCES.length;
    const isBurst = source === 0 && i >= this.count * 0.62 && i < this.count * 0.64;
    return {
      level: levelOf(bits >>> 3, isBurst),
      source,
      logger: (bits >>> 5) % LOGGERS.length,
      user: mixed(trace) % USERS,
      trace,
      tool: (bits >>> 9) % TOOLS.length,
      status: [200, 200, 200, 201, 404, 429, 500][(bits >>> 12) % 7],
      duration: (bits >>> 15) % 2000,
    };
  }

  /** How many of the records from `from` to before `to` it holds for. */
  countOf(holds, from = 0, to = this.count) {
    let found = 0;
    for (let i = from; i < to; i += 1) if (holds(this.facts(i), i)) found += 1;
    return found;
  }

  /** Places of the records it holds for, from the latest one back. */
  latest(holds, limit, from = 0, to = this.count) {
    const found = [];
    for (let i = to - 1; i >= from && found.length < limit; i -= 1) if (holds(this.facts(i), i)) found.push(i);
    return found;
  }

  message(i, { level, tool, status, duration, user }) {
    const name = TOOLS[tool];
    if (level >= 4) return `tool call ${name} failed: upstream answered ${status === 200 ? 502 : status}, call ${i}`;
    if (level === 3) return `slow answer from ${name}: ${duration} ms, call ${i}`;
    return `tool call ${name} for ${userId(user)} answered ${status} in ${duration} ms, call ${i}`;
  }

  /** One line of NDJSON. */
  line(i) {
    const facts = this.facts(i);
    const { level, source, logger, user, trace, tool, status, duration } = facts;
    // By hand: a million of them take two seconds rather than five.
    return (
      `{"timestamp":"${new Date(this.time(i)).toISOString()}","level":"${LEVELS[level]}","source":"${SOURCES[source]}",` +
      `"logger":"${LOGGERS[logger]}","trace_id":"${traceId(trace)}","user_id":"${userId(user)}",` +
      `"message":"${this.message(i, facts)}","duration_ms":${duration},` +
      `"http":{"status":${status},"method":"POST"},"tool":{"name":"${TOOLS[tool]}","attempt":${1 + (duration % 3)}},"number":${i}}`
    );
  }

  lines(from, to) {
    const lines = [];
    for (let i = from; i < to; i += 1) lines.push(this.line(i));
    return lines.join("\n");
  }
}

export const userId = (user) => `u-${pad(user, 2)}`;
/** An id as W3C Trace Context has it. */
export const traceId = (trace) => [1, 2, 3, 4].map((part) => pad(mixed(trace * 4 + part).toString(16), 8)).join("");

/** A text that tries everything: markup, terminal escapes, direction overrides, invisible characters. */
export const HOSTILE =
  `<script>window.hostile=1</script><img src=x onerror="window.hostile=2"><b>bold</b> ` +
  `\u001b[31mred\u001b[0m \u001b]0;title\u0007\u001b[2J\u001b]8;;http://evil.example\u0007link\u001b]8;;\u0007 ` +
  `user\u202Egnp.exe\u202C zero\u200Bwidth \u0000nul {{1+1}} \${1+1} javascript:alert(1) & &lt;i&gt; "'`;
