// The build: one page, hashed assets, each compressed once here and never while serving.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build, type Rolldown } from "vite";
import { defineConfig, type Plugin } from "vitest/config";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** Below this a compressed answer saves nothing that matters. */
const COMPRESSED_BYTES_MIN = 512;

/** Writes `name.gz` and `name.br` beside each asset; fonts are compressed by their format. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    async closeBundle() {
      const assets = folder("dist/assets");
      for (const name of await readdir(assets)) {
        if (!/\.(js|css|svg|json)$/.test(name)) continue;
        const bytes = await readFile(join(assets, name));
        if (bytes.length < COMPRESSED_BYTES_MIN) continue;
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
        await writeFile(join(assets, `${name}.gz`), await promisify(gzip)(bytes, { level: 9 }));
        await writeFile(join(assets, `${name}.br`), await promisify(brotliCompress)(bytes, quality));
      }
    },
  };
}

const ICON = /@lucide\/svelte\/dist\/icons\/[a-z0-9-]+\.svelte$/;
const ICON_DATA = /const iconData = (\{.*\});/;

/**
 * Icons as one piece of markup. lucide's own component computes every attribute and makes every
 * element by itself, which was a sixth of the work before the first paint.
 */
function plainIcons(): Plugin {
  return {
    name: "plain-icons",
    enforce: "pre",
    async load(id) {
      if (!ICON.test(id)) return null;
      const data = ICON_DATA.exec(await readFile(id, "utf8"))?.[1];
      if (data === undefined) throw new Error(`the icon cannot be read, lucide's files have changed: ${id}`);
      const { name, node } = JSON.parse(data) as { name: string; node: [tag: string, attributes: Record<string, string>][] };
      const shapes = node.map(([tag, attributes]) => {
        const words = Object.entries(attributes).map(([key, value]) => `${key}="${value}"`);
        return `<${tag} ${words.join(" ")} />`;
      });
      return `<script>let { size = 24, strokeWidth = 2, class: extra = "" } = $props();</script>
<svg xmlns="http://www.w3.org/2000/svg" class="lucide lucide-${name} {extra}" width={size} height={size} viewBox="0 0 24 24"
  fill="none" stroke="currentColor" stroke-width={strokeWidth} stroke-linecap="round" stroke-linejoin="round"
  aria-hidden="true">${shapes.join("")}</svg>`;
    },
  };
}

/** Where uPlot reads the tables of `Intl` as soon as it is loaded, and how it does so when it needs them, which is never here. */
const PLOT_READS: [text: string, instead: string][] = [
  ["const numFormatter = new Intl.NumberFormat(domEnv ? nav.language : 'en-US');", ""],
  ["numFormatter.format(val)", "new Intl.NumberFormat(domEnv ? nav.language : 'en-US').format(val)"],
  ["const localTz = new Intl.DateTimeFormat().resolvedOptions().timeZone;", ""],
  ["tz == localTz", "tz == new Intl.DateTimeFormat().resolvedOptions().timeZone"],
];

/** uPlot without reading what no chart of ours shows: numbers and times are written by `axis.ts`. */
function plainPlot(): Plugin {
  return {
    name: "plain-plot",
    transform(code, id) {
      if (!id.includes("/uplot/dist/uPlot.esm.js")) return null;
      return PLOT_READS.reduce((text, [read, instead]) => {
        if (!text.includes(read)) throw new Error(`uPlot has changed, it has no ${read}`);
        return text.replace(read, () => instead);
      }, code);
    },
  };
}

interface Modules {
  getModuleInfo: (id: string) => { importedIds: readonly string[] } | null;
}

/**
 * One file for all that the first screen needs, which a slow line brings sooner than ten: names its
 * chunk. Modules that other screens share with it are in it, too. Overlays (bits-ui) come at rest.
 */
function firstChunk(): (id: string, modules: Modules) => string | null {
  let first: Set<string> | undefined;
  return (id, modules) => {
    if (first === undefined) {
      first = new Set([folder("src/main.ts")]);
      for (const found of first) {
        const others = modules.getModuleInfo(found)?.importedIds ?? [];
        if (others.some((other) => other.includes("/node_modules/bits-ui/"))) first.delete(found);
        else for (const other of others) first.add(other);
      }
    }
    return first.has(id) ? "first" : null;
  };
}

const HEAD_MARK = '<script data-from="src/head.ts"></script>';

/** The script of the page's head stands in the page itself: it asks the server before any file is here. */
function headScript(): Plugin {
  return {
    name: "head-script",
    transformIndexHtml: {
      order: "pre",
      async handler(html) {
        const lib = { entry: folder("src/head.ts"), formats: ["iife" as const], name: "head" };
        const made = await build({
          configFile: false,
          logLevel: "warn",
          publicDir: false,
          resolve: { alias },
          build: { lib, target: "es2022", minify: true, write: false },
        });
        const [{ output }] = [made].flat() as [Rolldown.RolldownOutput];
        if (!html.includes(HEAD_MARK)) throw new Error(`index.html has no ${HEAD_MARK}`);
        return html.replace(HEAD_MARK, () => `<script>${output[0].code.trim()}</script>`);
      },
    },
  };
}

const alias = { $api: folder("src/api"), $lib: folder("src/lib"), $shell: folder("src/shell") };
/** The server that `npm run dev` shows the pages of. */
const server = process.env.TAFFRAIL_URL ?? "http://127.0.0.1:4600";

export default defineConfig(({ mode }) => ({
  plugins: [plainIcons(), plainPlot(), headScript(), svelte(), precompress()],
  resolve: {
    alias,
    // Vitest would take Svelte's server build otherwise.
    conditions: mode === "test" ? ["browser"] : undefined,
  },
  // Replaced by the server with a fresh value for every page.
  html: mode === "development" ? {} : { cspNonce: "{{csp-nonce}}" },
  build: {
    target: "es2022",
    // No data: URLs, which the content security policy would have to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: "assets/manifest.json",
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: firstChunk(), debugName: "first" }] } } },
  },
  server: {
    proxy: { "/api": server, "/docs/api": server, "/ws": { target: server, ws: true } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
}));
