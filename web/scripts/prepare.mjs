// Installs what the lockfile says and builds `dist/`, each only when its inputs have changed.
//
//   node scripts/prepare.mjs install | build
//
// Needs nothing but Node.js and npm.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const CONFIGURATION = ["package.json", "package-lock.json", "svelte.config.js", "tsconfig.json", "vite.config.ts", "index.html"];

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

/** One text for the names and contents of files. */
export function hashOf(paths) {
  const hash = createHash("sha256").update(process.version);
  for (const path of paths) {
    const bytes = readFileSync(join(root, path));
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

export const sources = () => [...CONFIGURATION, ...filesBelow("src"), ...filesBelow("public")];

/** Runs a command in `web/`; ends the program with its status when it fails. */
export function run(command, ...words) {
  const { status, error } = spawnSync(command, words, { cwd: root, stdio: "inherit" });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

const isAt = (path, hash) => existsSync(join(root, path)) && readFileSync(join(root, path), "utf8") === hash;

export function stamp(path, hash) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), hash);
}

/** Does it unless the stamp says that it was done for the same inputs. Whether it did. */
export function once(path, hash, work) {
  if (isAt(path, hash)) return false;
  work();
  stamp(path, hash);
  return true;
}

export function install() {
  return once("node_modules/.installed", hashOf(["package.json", "package-lock.json"]), () =>
    run("npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"),
  );
}

export function build() {
  install();
  const hash = hashOf(sources().filter((path) => !path.endsWith(".test.ts")));
  if (isAt("dist/.sources", hash) && existsSync(join(root, "dist/index.html"))) return false;
  run("node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn");
  stamp("dist/.sources", hash);
  return true;
}

const [task] = process.argv.slice(2);
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (task === "install") install();
  else if (task === "build") build();
  else {
    console.error("usage: node scripts/prepare.mjs install | build");
    process.exit(2);
  }
}
