// Accessibility of every state: axe-core on each, in both themes and at both widths.
//
//   node e2e/axe.mjs [--dev | --dist] [--all] [names of states]
//
// A violation fails it. TAFFRAIL_E2E_BINARY is the program; `--dev` shows the pages as Vite serves
// them, without a build, `--dist` as it was built last.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { THEMES, WIDTHS } from "./screenshots-browser.mjs";
import { Stage } from "./screenshots-stage.mjs";
import { STATES, statesAt } from "./screenshots-states.mjs";
import { closeVites, distOver, viteOver } from "./screenshots-vite.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** States that are looked at at the same time. */
const TOGETHER = 3;

/** What axe has against a page: rule, how bad, where. */
async function violationsOf(page) {
  // Over the debugger: the content security policy lets no script of others in.
  await page.evaluate(AXE);
  const found = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }), TAGS);
  return found.violations.flatMap(({ id, impact, help, nodes }) =>
    nodes.map((node) => ({ id, impact, help, where: node.target.join(" "), why: node.any[0]?.message ?? node.all[0]?.message ?? "" })),
  );
}

const { values: options, positionals: names } = parseArgs({ options: Object.fromEntries(["all", "dev", "dist"].map((name) => [name, { type: "boolean", default: false }])), allowPositionals: true });
const begun = Date.now();
/** Routes, and the two ways to answer a query, are looked at in both themes at both widths. */
const ROUTES = new Set(["login", "logs", "table", "timechart", "timechart-lines", "instances", "settings", "settings-account", "settings-appearance"]);
/** Other states in one theme wide and in the other on a phone, unless all is asked for. */
function isChosen(state, theme, width, at) {
  if (options.all || names.length > 0 || ROUTES.has(state.name)) return true;
  return THEMES.indexOf(theme) === (at + (width < 600 ? 1 : 0)) % THEMES.length;
}
const work = Object.keys(WIDTHS)
  .map(Number)
  .flatMap((width) => THEMES.flatMap((theme) => statesAt(width).map((state) => ({ state, theme, width }))))
  .filter(({ state, theme, width }) => isChosen(state, theme, width, STATES.indexOf(state)))
  .filter(({ state }) => names.length === 0 || names.includes(state.name));
const count = work.length;
/** Violations by what is wrong and where, with the states they were seen in. */
const seen = new Map();
const failed = [];

function note(violations, where) {
  for (const violation of violations) {
    const key = `${violation.impact}  ${violation.id}: ${violation.help}\n    ${violation.where}\n    ${violation.why}`;
    const entry = seen.get(key) ?? { states: [] };
    entry.states.push(where);
    seen.set(key, entry);
  }
}

const stage = await Stage.open({ serve: options.dev ? viteOver : options.dist ? distOver : null });
async function worker() {
  for (let next = work.shift(); next; next = work.shift()) {
    const { state, theme, width } = next;
    const name = `${state.name} ${theme} ${width}`;
    try {
      await stage.inState(state, { theme, width }, async (page) => note(await violationsOf(page), name));
    } catch (error) {
      failed.push(`${name}: ${error.message.split("\n")[0]}`);
    }
  }
}
try {
  await Promise.all(Array.from({ length: TOGETHER }, worker));
} finally {
  await stage.close();
  await closeVites();
}
for (const [text, { states }] of seen) console.log(`${text}\n    in ${states.length}: ${states.slice(0, 4).join(", ")}`);
for (const text of failed) console.log(`not reached: ${text}`);
console.log(`axe: ${count} states, ${seen.size} violations, in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
if (seen.size > 0 || failed.length > 0 || count === 0) process.exit(1);
