// Sizes of the built UI against the budgets of its design: bytes that a browser gets, gzip.
//
//   node scripts/budget.mjs
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const KB = 1_000;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const manifest = JSON.parse(readFileSync(join(dist, "assets/manifest.json"), "utf8"));
/** Parts of Logs that come a moment after it: the chart with the first counts, the others when they are wanted or at rest. */
const PARTS = ["lib/charts/LevelBars", "routes/logs/RecordPanel", "routes/logs/LiveList", "routes/logs/EmptyList"].map((name) => `src/${name}.svelte`);

const sizes = new Map();
function size(file) {
  if (!sizes.has(file)) {
    const bytes = readFileSync(join(dist, file));
    sizes.set(file, file.endsWith(".woff2") ? bytes.length : gzipSync(bytes, { level: 9 }).length);
  }
  return sizes.get(file);
}

/** Files of an entry and of all that it imports at once. */
function filesOf(key, found = new Set()) {
  const chunk = manifest[key];
  if (!chunk || found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const style of chunk.css ?? []) found.add(style);
  for (const other of chunk.imports ?? []) filesOf(other, found);
  return found;
}

const sum = (files, end) => [...files].filter((file) => file.endsWith(end)).reduce((all, file) => all + size(file), 0);
const first = new Set(["index.html", ...PARTS].flatMap((key) => [...filesOf(key)]));
/** What an entry loads beside what the first screen has loaded. */
const beside = (key) => new Set([...filesOf(key)].filter((file) => !first.has(file)));

const assets = readdirSync(join(dist, "assets"))
  .filter((name) => !/\.(gz|br)$/.test(name) && name !== "manifest.json")
  .map((name) => `assets/${name}`);
for (const key of PARTS) if (!manifest[key]) throw new Error(`the build has no ${key}`);
const rows = [
  ["shell and Logs, JavaScript", sum(first, ".js"), 140],
  ["shell and Logs, CSS", sum(first, ".css"), 15],
  ["fonts", sum(assets, ".woff2"), 90],
  ["everything", assets.reduce((all, file) => all + size(file), 0), 500],
];
const overlays = new Set();
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry || PARTS.includes(key)) continue;
  if (key.startsWith("src/lib/ui/")) {
    for (const file of beside(key)) overlays.add(file);
    continue;
  }
  const files = beside(key);
  const budget = /editor/i.test(key) ? 115 : 30;
  rows.push([key.replace("src/", ""), sum(files, ".js") + sum(files, ".css"), budget]);
}
// Menus, popovers and dialogs: fetched when the page has come to rest.
rows.push(["overlays", sum(overlays, ".js") + sum(overlays, ".css"), 45]);

let isOver = false;
for (const [name, bytes, budget] of rows) {
  const verdict = bytes > budget * KB ? "OVER" : "ok";
  isOver ||= verdict === "OVER";
  console.log(`${verdict.padEnd(4)}  ${(bytes / KB).toFixed(1).padStart(6)} of ${String(budget).padStart(3)} KB  ${name}`);
}
for (const file of assets) {
  if (/\.(js|css)$/.test(file) && readFileSync(join(dist, file)).length >= 512 && !existsSync(join(dist, `${file}.br`))) {
    console.log(`OVER  ${file} was not compressed by the build`);
    isOver = true;
  }
}
if (isOver) {
  console.error("the UI is over its budget");
  process.exit(1);
}
