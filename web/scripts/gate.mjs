// Every check of the UI that needs no browser: typed client up to date, types, tests, build,
// budgets. What passed for the same inputs is not run again; the stamps are in node_modules.
//
//   node scripts/gate.mjs
import { readdirSync } from "node:fs";
import { build, hashOf, install, once, run, sources } from "./prepare.mjs";

const STAMPS = "node_modules/.gate";
const node = (...words) => run("node", ...words);
const scripts = readdirSync(new URL(".", import.meta.url)).map((name) => `scripts/${name}`);

install();
const inputs = [...sources(), ...scripts, "../contracts/openapi.json"];
const hash = hashOf(inputs);
const ran = [];
const step = (name, work) => {
  if (once(`${STAMPS}/${name}`, hash, work)) ran.push(name);
};
step("client", () => node("scripts/api.mjs", "--check"));
step("types", () =>
  node("node_modules/svelte-check/bin/svelte-check", "--tsconfig", "./tsconfig.json", "--fail-on-warnings", "--output", "human"),
);
step("tests", () => node("node_modules/vitest/vitest.mjs", "run", "--reporter=dot"));
if (build()) ran.push("build");
step("budgets", () => node("scripts/budget.mjs"));
const note = ran.length === 0 ? "unchanged since it passed" : ran.join(", ");
console.log(`web: ${note} (${inputs.length} files)`);
