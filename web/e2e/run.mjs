// Journeys of people through the web UI, in Chromium on the real server.
//
//   node web/e2e/run.mjs [words of names]
//
// TAFFRAIL_E2E_BINARY   the program; the debug build without it
// TAFFRAIL_E2E_RECORDS  how many records there are; 1,000,000 without it
// TAFFRAIL_CHROMIUM     the browser; /usr/bin/chromium without it
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cookiesOf, launch, person } from "./browser.mjs";
import { Data, STREAM } from "./data.mjs";
import { ADMIN, Server } from "./server.mjs";
import * as access from "./journeys/access.mjs";
import * as finding from "./journeys/finding.mjs";
import * as groups from "./journeys/groups.mjs";
import * as keyboard from "./journeys/keyboard.mjs";
import * as odd from "./journeys/odd.mjs";
import * as onboarding from "./journeys/onboarding.mjs";
import * as record from "./journeys/record.mjs";
import * as restart from "./journeys/restart.mjs";
import * as sums from "./journeys/sums.mjs";
import * as tables from "./journeys/tables.mjs";
import * as tail from "./journeys/tail.mjs";

const BINARY = process.env.TAFFRAIL_E2E_BINARY ?? fileURLToPath(new URL("../../target/debug/taffrail", import.meta.url));
const RECORDS = Number(process.env.TAFFRAIL_E2E_RECORDS ?? 1_000_000);
/** Records of one request, and requests at a time: what a busy shipper sends. */
const BATCH_RECORDS = 10_000;
const SENDERS = 3;
/** The last generated record is so old, so that what a journey sends comes after it. */
const BEFORE_NOW_MS = 2 * 60_000;

// Restart comes last: what others of the same server see must not depend on it.
const journeys = [access, finding, record, keyboard, odd, sums, tables, groups, tail, onboarding, restart].flatMap((module) =>
  Object.entries(module.journeys),
);
const wanted = process.argv.slice(2);
const chosen = journeys.filter(([name]) => wanted.length === 0 || wanted.some((word) => name.includes(word)));

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

async function fill(server, data) {
  let next = 0;
  const sender = async () => {
    while (next < data.count) {
      const from = next;
      next = Math.min(data.count, from + BATCH_RECORDS);
      await server.send(STREAM, data.lines(from, next));
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
}

/** Runs one journey; why it failed, or `null`. */
async function runOne(name, journey, world, shots) {
  const people = [];
  const enter = async (options) => {
    const made = await person(world.browser, options?.server ?? world.server, options);
    people.push(made);
    return made;
  };
  const admin = async (options) => enter({ cookies: world.cookies, ...options });
  try {
    await journey({ ...world, enter, admin });
    people.forEach((one) => one.check());
    return null;
  } catch (fault) {
    const seen = [];
    for (const [at, one] of people.entries()) {
      const file = join(shots, `${name.replaceAll(/\W+/g, "-")}-${at + 1}.png`);
      await one.page.screenshot({ path: file, timeout: 5_000 }).then(() => seen.push(file), () => undefined);
      seen.push(`at ${one.page.url()}`, ...one.troubles);
    }
    return `${fault.stack ?? fault}\n    ${seen.join("\n    ")}`;
  } finally {
    for (const one of people) await one.close().catch(() => undefined);
  }
}

async function main() {
  if (!existsSync(BINARY)) throw new Error(`no program at ${BINARY}: cargo build -p taffrail-cli`);
  const browser = await launch();
  const server = new Server(BINARY);
  const shots = mkdtempSync(join(tmpdir(), "taffrail-journeys-"));
  const failed = [];
  try {
    const begun = Date.now();
    await server.start();
    const data = new Data(RECORDS, Date.now() - BEFORE_NOW_MS);
    await fill(server, data);
    console.log(`journeys: ${RECORDS.toLocaleString("en-US")} records sent in ${seconds(begun)}, Chromium ${browser.version()}`);
    const cookies = await cookiesOf(browser, server, ADMIN);
    for (const [name, journey] of chosen) {
      const start = Date.now();
      const fault = await runOne(name, journey, { browser, server, data, cookies, binary: BINARY }, shots);
      console.log(`  ${fault === null ? "ok  " : "FAIL"} ${seconds(start).padStart(7)}  ${name}`);
      if (fault !== null) {
        console.log(`    ${fault.replaceAll("\n", "\n    ")}`);
        failed.push(name);
      }
    }
    console.log(`journeys: ${chosen.length - failed.length} of ${chosen.length} passed in ${seconds(begun)}`);
  } finally {
    await browser.close();
    await server.remove();
    if (readdirSync(shots).length === 0) rmSync(shots, { recursive: true });
  }
  return chosen.length > 0 && failed.length === 0;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (fault) {
  console.error(`journeys: ${fault.message}`);
  process.exitCode = 1;
}
