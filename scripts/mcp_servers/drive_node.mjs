// Drives one MCP server over stdio with the official TypeScript client.
//
//   node drive_node.mjs PLAN command…
//
// PLAN is a JSON object: {"mode": "legacy"|"auto", "calls": [[tool, arguments], …], "repeat": n}.
// Prints a JSON object: the negotiated protocol version, a digest of each answer, and the round
// trips of the last call, repeated, in milliseconds.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [plan_text, command, ...args] = process.argv.slice(2);
const plan = JSON.parse(plan_text);
const client = new Client(
  { name: 'taffrail-check', version: '1.0.0' },
  { versionNegotiation: { mode: plan.mode } },
);
const transport = new StdioClientTransport({ command, args, env: process.env, stderr: 'ignore' });
await client.connect(transport);

const answers = [];
async function ask(name, question) {
  try {
    answers.push([name, JSON.stringify(await question()).length > 2 ? 'answered' : 'empty']);
  } catch (error) {
    answers.push([name, `error ${error.code ?? error.message}`]);
  }
}
const able = client.getServerCapabilities() ?? {};
await ask('tools/list', () => client.listTools());
if (able.resources) await ask('resources/list', () => client.listResources());
if (able.prompts) await ask('prompts/list', () => client.listPrompts());
for (const [name, values] of plan.calls) {
  await ask(`tools/call ${name}`, () => client.callTool({ name, arguments: values }));
}
const round_trips_ms = [];
const [name, values] = plan.calls.at(-1) ?? [];
for (let round = 0; name && round < plan.repeat; round += 1) {
  const start = process.hrtime.bigint();
  await client.callTool({ name, arguments: values });
  round_trips_ms.push(Number(process.hrtime.bigint() - start) / 1e6);
}
const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null;
await client.close();
console.log(JSON.stringify({ version, answers, round_trips_ms }));
process.exit(0);
