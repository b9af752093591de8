// Lighthouse on the pages of the real server, as somebody who is logged in sees them.
//
//   node e2e/lighthouse.mjs [--runs N] [--folder FOLDER] [--only WORD,…] [--reports FOLDER]
//
// Login and Logs, as a computer and as a phone, each in a fresh profile of Chromium; the median of
// several runs counts for performance, every run for accessibility. Ends with status 1 when a score
// is below its budget, and names what Lighthouse has against the page.
//
// Lighthouse (Apache-2.0) is no dependency of the UI: it is installed, by its exact version, into a
// folder of its own (`--folder`, `target/lighthouse` without it) when it is not there.
// TAFFRAIL_E2E_BINARY is the program; the release build without it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { cookiesOf, launch, launchProfile } from "./browser.mjs";
import { Data, STREAM } from "./data.mjs";
import { ADMIN, Server } from "./server.mjs";
import { until } from "./wait.mjs";

const VERSION = "12.8.2";
const BUDGETS = { performance: 95, accessibility: 100 };
const RECORDS = 120_000;
const PORT_MAX_MS = 20_000;

const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url));
const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    folder: { type: "string", default: join(target, "lighthouse") },
    only: { type: "string" },
    reports: { type: "string" },
  },
});
const BINARY = process.env.TAFFRAIL_E2E_BINARY ?? join(target, "release/taffrail");

/** The two of Lighthouse's own settings that people know it by. */
const DEVICES = { phone: undefined, computer: "desktop" };
const PAGES = [
  { name: "login", path: "/login", isIn: false },
  { name: "logs", path: "/logs?from=now-6h", isIn: true },
];

async function lighthouseOf(folder) {
  const entry = join(resolve(folder), "node_modules/lighthouse/core/index.js");
  if (!existsSync(entry)) {
    mkdirSync(folder, { recursive: true });
    const words = ["install", "--no-save", "--no-fund", "--no-audit", "--loglevel=error", "--prefix", folder, `lighthouse@${VERSION}`];
    if (spawnSync("npm", words, { stdio: "inherit" }).status !== 0) throw new Error(`lighthouse ${VERSION} could not be installed into ${folder}`);
  }
  const config = join(resolve(folder), "node_modules/lighthouse/core/config/desktop-config.js");
  const { default: lighthouse } = await import(pathToFileURL(entry));
  const { default: desktop } = await import(pathToFileURL(config));
  return { lighthouse, configs: { desktop } };
}

/** One run in a profile that has nothing but, if wanted, the cookie of somebody who is logged in. */
async function run({ lighthouse, configs }, url, device, cookies) {
  const profile = mkdtempSync(join(tmpdir(), "taffrail-lighthouse-"));
  const browser = await launchProfile(profile, ["--remote-debugging-port=0"]);
  try {
    await browser.addCookies(cookies);
    const port = await until("Chromium tells its port", PORT_MAX_MS, () => {
      const file = join(profile, "DevToolsActivePort");
      return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : 0;
    });
    const flags = { port, logLevel: "error", output: "html", disableStorageReset: true };
    const found = await lighthouse(url, flags, DEVICES[device] && configs[DEVICES[device]]);
    if (found.lhr.runtimeError) throw new Error(found.lhr.runtimeError.message);
    return found;
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const scoreOf = ({ lhr }, category) => Math.round(lhr.categories[category].score * 100);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const audit = ({ lhr }, id) => lhr.audits[id]?.displayValue?.replaceAll("\u00a0", " ") ?? "–";

/** What counts against a page, of the categories that have a budget. */
function complaints({ lhr }, category) {
  return lhr.categories[category].auditRefs
    .filter(({ id, weight }) => weight > 0 && lhr.audits[id].score !== null && lhr.audits[id].score < (category === "performance" ? 0.9 : 1))
    .map(({ id }) => `${id}: ${lhr.audits[id].title} ${lhr.audits[id].displayValue ?? ""}`.trim());
}

function tell(name, found) {
  const scores = Object.fromEntries(Object.keys(found[0].lhr.categories).map((id) => [id, found.map((one) => scoreOf(one, id))]));
  const counted = { ...Object.fromEntries(Object.entries(scores).map(([id, all]) => [id, median(all)])), accessibility: Math.min(...scores.accessibility) };
  const isMissed = Object.entries(BUDGETS).some(([id, budget]) => counted[id] < budget);
  const middle = found.find((one) => scoreOf(one, "performance") === counted.performance);
  const times = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"];
  console.log(`${isMissed ? "MISSED" : "ok    "}  ${name.padEnd(15)} ${Object.entries(counted).map(([id, score]) => `${id} ${score}`).join(", ")}  (performance ${scores.performance.join(" ")})`);
  console.log(`        ${times.map((id) => `${id} ${audit(middle, id)}`).join(", ")}`);
  for (const id of Object.keys(scores)) for (const text of new Set(found.flatMap((one) => complaints(one, id)))) console.log(`        ${id}: ${text}`);
  if (options.reports) {
    mkdirSync(options.reports, { recursive: true });
    writeFileSync(join(options.reports, `${name.replace(" ", "-")}.html`), middle.report);
  }
  return isMissed;
}

if (!existsSync(BINARY)) throw new Error(`no program at ${BINARY}: cargo build --release -p taffrail-cli`);
const tool = await lighthouseOf(options.folder);
const server = new Server(BINARY);
let missed = 0;
try {
  await server.start();
  const data = new Data(RECORDS, Date.now() - 60_000);
  for (let from = 0; from < RECORDS; from += 10_000) await server.send(STREAM, data.lines(from, from + 10_000));
  const browser = await launch();
  const cookies = await cookiesOf(browser, server, ADMIN);
  console.log(`Lighthouse ${VERSION}, Chromium ${browser.version()}, ${RECORDS} records, load ${loadavg()[0].toFixed(1)} on ${availableParallelism()} cores`);
  await browser.close();
  for (const { name, path, isIn } of PAGES) {
    for (const device of Object.keys(DEVICES)) {
      if (options.only && !options.only.split(",").some((word) => `${name} ${device}`.includes(word))) continue;
      const found = [];
      for (let at = 0; at < Number(options.runs); at += 1) found.push(await run(tool, server.base + path, device, isIn ? cookies : []));
      if (tell(`${name} ${device}`, found)) missed += 1;
    }
  }
} finally {
  await server.remove();
}
console.log(missed === 0 ? "all scores within their budgets" : `${missed} missed`);
if (missed > 0) process.exit(1);
