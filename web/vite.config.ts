// The build: one page, hashed assets, each compressed once here and never while serving.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
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

/** The server that `npm run dev` shows the pages of. */
const server = process.env.TAFFRAIL_URL ?? "http://127.0.0.1:4600";

export default defineConfig(({ mode }) => ({
  plugins: [plainIcons(), svelte(), precompress()],
  resolve: {
    alias: { $api: folder("src/api"), $lib: folder("src/lib"), $shell: folder("src/shell") },
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
  },
  server: {
    proxy: { "/api": server, "/docs/api": server, "/ws": { target: server, ws: true } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
}));
