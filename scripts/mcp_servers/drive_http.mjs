// Drives one MCP server over HTTP with the official TypeScript client, directly and through a proxy.
//
//   node drive_http.mjs PLAN DIRECT_URL PROXY_URL
//
// PLAN is a JSON object: {"transport": "streamable-http"|"sse", "mode": "legacy"|"auto",
// "calls": [[tool, arguments], …], "repeat": n}. There is a session each way, and the ways take
// turns with the last call, so that whatever the machine does meets both.
// Prints a JSON object with the members "direct" and "proxy"; each has the negotiated protocol
// version, a SHA-256 of each answer, and the round trips of the last call, repeated, in milliseconds.
import { createHash } from 'node:crypto';
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [plan_text, direct_url, proxy_url] = process.argv.slice(2);
const plan = JSON.parse(plan_text);
const Transport = plan.transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
// Calls before the first that is timed: what is compiled when it is first used meets only one way.
const WARM_UP = 10;

class Way {
  answers = [];
  round_trips_ms = [];

  constructor(url) {
    this.client = new Client(
      { name: 'taffrail-check', version: '1.0.0' },
      { versionNegotiation: { mode: plan.mode } },
    );
    this.transport = new Transport(new URL(url));
  }

  async ask(name, question) {
    let text;
    try {
      text = JSON.stringify(await question());
    } catch (error) {
      text = `error ${error.code ?? error.message}`;
    }
    this.answers.push([name, createHash('sha256').update(text).digest('hex')]);
  }

  async begin() {
    await this.client.connect(this.transport);
    const able = this.client.getServerCapabilities() ?? {};
    await this.ask('tools/list', () => this.client.listTools());
    if (able.resources) await this.ask('resources/list', () => this.client.listResources());
    if (able.prompts) await this.ask('prompts/list', () => this.client.listPrompts());
    for (const [name, values] of plan.calls) {
      await this.ask(`tools/call ${name}`, () => this.client.callTool({ name, arguments: values }));
    }
  }

  async call(is_timed) {
    const [name, values] = plan.calls.at(-1);
    const start = process.hrtime.bigint();
    await this.client.callTool({ name, arguments: values });
    if (is_timed) this.round_trips_ms.push(Number(process.hrtime.bigint() - start) / 1e6);
  }

  async end() {
    // Only streamable HTTP has sessions that a client ends.
    await this.transport.terminateSession?.();
    const version = this.client.getNegotiatedProtocolVersion?.() ?? this.transport.protocolVersion ?? null;
    await this.client.close();
    return { version, answers: this.answers, round_trips_ms: this.round_trips_ms };
  }
}

const ways = [new Way(direct_url), new Way(proxy_url)];
for (const way of ways) await way.begin();
for (let round = 0; round < WARM_UP + plan.repeat; round += 1) {
  for (const way of ways) await way.call(round >= WARM_UP);
}
const [direct, proxy] = [await ways[0].end(), await ways[1].end()];
console.log(JSON.stringify({ direct, proxy, warm_up: WARM_UP }));
process.exit(0);
