// A client that uses an MCP server at the pace of a person, for as long as it runs.
//
//   node client.mjs COMMAND ARGUMENTS…
//
// Starts COMMAND as the server, with pipes; the word {pid} among the arguments becomes the id of
// this process. It first does everything that it can do once, then something at random every one to
// four seconds: calls of tools that work, that fail and that are cancelled, progress, resources,
// prompts, log messages. What it does is said on stdout. Calls that belong together have one trace.
//
// Ends with 0 on SIGTERM and SIGINT, with 1 when the server no longer answers.
import { Client, SdkError, SdkErrorCode } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = { least: 1_000, most: 4_000 };
/** Longer than every call that is not cancelled, so what takes longer will not be answered. */
const TIMEOUT_MS = 10_000;
/** Requests without an answer, one after the other, after which the server is given up. */
const UNANSWERED_MAX = 3;
/** Requests of one trace, as an agent makes them in a turn. */
const TURN = { least: 2, most: 5 };
/** What else is done while the server sends a log message every five seconds. */
const LOGGING_STEPS = 6;

const between = ({ least, most }) => least + Math.floor(Math.random() * (most - least + 1));
const one_of = (values) => values[Math.floor(Math.random() * values.length)];

const SENTENCES = ['Where is the invoice of March?', 'Deploy the branch to staging', 'grüße aus Köln 👋', 'ping'];
const CITIES = ['New York', 'Chicago', 'Los Angeles'];

const [command, ...words] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: node client.mjs COMMAND ARGUMENTS…');
  process.exit(2);
}
const transport = new StdioClientTransport({
  command,
  args: words.map((word) => (word === '{pid}' ? String(process.pid) : word)),
  stderr: 'ignore',
});
const client = new Client({ name: 'taffrail-demo', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
const stop = new AbortController();
let trace = { id: '', left: 0 };

/** Trace context of the next request. */
function meta() {
  if (trace.left === 0) trace = { id: randomBytes(16).toString('hex'), left: between(TURN) };
  trace.left -= 1;
  return { traceparent: `00-${trace.id}-${randomBytes(8).toString('hex')}-01` };
}

const options = (more = {}) => ({ timeout: TIMEOUT_MS, ...more });
const call = (name, values, more) =>
  client.callTool({ name, arguments: values, _meta: meta() }, options(more));

async function cancelled() {
  const patience = new AbortController();
  const answer = call('trigger-long-running-operation', { duration: 5, steps: 5 }, {
    signal: patience.signal,
    onprogress: () => {},
  });
  const timer = setTimeout(() => patience.abort('the person did not want to wait'), 1_500);
  return answer.finally(() => clearTimeout(timer));
}

const slow = () =>
  call('trigger-long-running-operation', { duration: between({ least: 1, most: 4 }), steps: 4 }, {
    resetTimeoutOnProgress: true,
    onprogress: () => {},
  });

/** Weight, what is said, what is done. */
const DEEDS = [
  [8, 'echoes a sentence', () => call('echo', { message: one_of(SENTENCES) })],
  [8, 'adds two numbers', () => call('get-sum', { a: between({ least: 0, most: 99 }), b: 17 })],
  [4, 'asks for the weather', () => call('get-structured-content', { location: one_of(CITIES) })],
  [3, 'waits for a long operation', slow],
  [2, 'cancels a long operation', cancelled],
  [2, 'calls a tool that does not exist', () => call('get-horoscope', { sign: 'Leo' })],
  [2, 'adds what is no number', () => call('get-sum', { a: 'three', b: 4 })],
  [1, 'lists the tools', () => client.listTools({ _meta: meta() }, options({ cacheMode: 'bypass' }))],
  [2, 'lists the resources', () => client.listResources({ _meta: meta() }, options({ cacheMode: 'bypass' }))],
  [3, 'reads a resource', () => client.readResource({ uri: `demo://resource/dynamic/text/${between({ least: 1, most: 20 })}`, _meta: meta() }, options())],
  [1, 'reads a resource that does not exist', () => client.readResource({ uri: 'demo://resource/nothing', _meta: meta() }, options())],
  [2, 'takes a prompt', () => client.getPrompt({ name: 'args-prompt', arguments: { city: one_of(CITIES) }, _meta: meta() }, options())],
  [1, 'takes a prompt without its argument', () => client.getPrompt({ name: 'args-prompt', arguments: {}, _meta: meta() }, options())],
];
const WEIGHT = DEEDS.reduce((sum, [weight]) => sum + weight, 0);

function any_deed() {
  let left = Math.random() * WEIGHT;
  return DEEDS.find(([weight]) => (left -= weight) < 0) ?? DEEDS[0];
}

let unanswered = 0;

/** Does it and says what came of it; fails when the server is gone. */
async function attempt([, text, act]) {
  try {
    const answer = await act();
    unanswered = 0;
    console.log(`${text}: ${answer?.isError ? 'the tool failed' : 'done'}`);
  } catch (error) {
    if (stop.signal.aborted) return;
    const code = error instanceof SdkError ? error.code : undefined;
    if (code === SdkErrorCode.ConnectionClosed || code === SdkErrorCode.NotConnected) throw error;
    // What the client cancels itself has no answer, and needs none.
    const is_unanswered = code === SdkErrorCode.RequestTimeout && act !== cancelled;
    unanswered = is_unanswered ? unanswered + 1 : 0;
    console.log(`${text}: ${error?.message ?? error}`);
    if (unanswered >= UNANSWERED_MAX) throw error;
  }
}

const pause = () => sleep(between(PAUSE_MS), undefined, { signal: stop.signal }).catch(() => {});

let logs_left = 0;
async function run() {
  await client.connect(transport, options());
  console.log(`connected to ${client.getServerVersion()?.name}, protocol ${client.getNegotiatedProtocolVersion()}`);
  await client.setLoggingLevel('debug', options());
  const plan = [...DEEDS];
  while (!stop.signal.aborted) {
    await attempt(plan.shift() ?? any_deed());
    if (logs_left === 0 && Math.random() < 0.1) {
      await attempt([0, 'switches log messages on', () => call('toggle-simulated-logging', {})]);
      logs_left = LOGGING_STEPS;
    } else if (logs_left > 0 && --logs_left === 0) {
      await attempt([0, 'switches log messages off', () => call('toggle-simulated-logging', {})]);
    }
    await pause();
  }
}

/** Ends the server first; the process ends with it. */
async function end(code) {
  if (stop.signal.aborted) return;
  stop.abort();
  await client.close().catch(() => {});
  process.exit(code);
}

client.onclose = () => {
  if (!stop.signal.aborted) console.error('the server has closed the connection');
  void end(1);
};
process.on('SIGTERM', () => void end(0));
process.on('SIGINT', () => void end(0));
run().catch((error) => {
  if (!stop.signal.aborted) console.error(`the server does not answer: ${error?.message ?? error}`);
  return end(1);
});
