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

/** The server that `npm run dev` shows the pages of. */
const server = process.env.TAFFRAIL_URL ?? "http://127.0.0.1:4600";

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), precompress()],
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
