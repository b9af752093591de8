// The real program with a data directory of its own, and a client of its API.
import { spawn } from "node:child_process";
import { Agent, request } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./wait.mjs";

export const ADMIN = { name: "admin", password: "correct horse battery" };
const KEY = "bootstrap-0123456789-0123456789-0123";
const START_MAX_MS = 60_000;
/** Past this the program is killed: it says that it ends within 10 seconds. */
const STOP_MAX_MS = 30_000;

export class Server {
  #child = null;
  #agent = new Agent({ keepAlive: true, maxSockets: 8 });
  output = "";
  base = "";
  key = KEY;

  constructor(binary) {
    this.binary = binary;
    this.directory = mkdtempSync(join(tmpdir(), "taffrail-e2e-"));
  }

  /** Starts it; again on the address that it had. */
  async start() {
    const at = (name) => join(this.directory, name);
    rmSync(at("port"), { force: true });
    const words = ["serve", "--data-dir", at("data"), "--key-file", at("key"), "--port-file", at("port")];
    const child = spawn(this.binary, [...words, "--listen", this.base ? this.base.slice("http://".length) : "127.0.0.1:0"], {
      cwd: this.directory,
      env: {
        PATH: process.env.PATH,
        HOME: this.directory,
        TAFFRAIL_ADMIN_USER: ADMIN.name,
        TAFFRAIL_ADMIN_PASSWORD: ADMIN.password,
        TAFFRAIL_BOOTSTRAP_KEY: KEY,
      },
    });
    this.#child = child;
    let failure = null;
    child.on("error", (error) => (failure = error.message));
    child.on("exit", (code, signal) => (failure ??= `the server ended (${code ?? signal}): ${this.output.slice(-2000)}`));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes) => (this.output = (this.output + bytes).slice(-100_000)));
    }
    const address = await until("the server is ready", START_MAX_MS, () => {
      if (failure) throw new Error(failure);
      try {
        return readFileSync(at("port"), "utf8").trim();
      } catch {
        return "";
      }
    });
    this.base = `http://${address}`;
  }

  async stop() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MAX_MS);
    child.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
  }

  /** Ends it and takes its data away. */
  async remove() {
    await this.stop();
    this.#agent.destroy();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Status and body of a request. */
  call(method, path, body, { key = KEY, headers = {} } = {}) {
    const bytes = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const made = request(
        `${this.base}${path}`,
        { method, agent: this.#agent, headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers } },
        (response) => {
          const parts = [];
          response.on("data", (part) => parts.push(part));
          response.on("error", reject);
          response.on("end", () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }));
        },
      );
      made.on("error", reject);
      made.end(bytes);
    });
  }

  /** What `data` of a successful answer holds. */
  async ask(method, path, body, options) {
    const { status, text } = await this.call(method, path, body, options);
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
    return text === "" ? null : JSON.parse(text).data;
  }

  post(path, body, options) {
    return this.ask("POST", path, body, options);
  }

  /** Sends records (objects, or NDJSON as text); all must be taken. */
  async send(stream, records, options) {
    const body = typeof records === "string" ? records : records.map((record) => JSON.stringify(record)).join("\n");
    const answer = await this.post(`/api/v1/ingest/${stream}`, body, options);
    if (answer.rejected.length > 0) throw new Error(`rejected: ${JSON.stringify(answer.rejected[0])}`);
    return answer.accepted;
  }
}
