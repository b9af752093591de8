// Pages as Vite serves them over a server: what is in `src` now, and the page of all components.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer, preview } from "vite";

const web = fileURLToPath(new URL("..", import.meta.url));
const open = [];

/** Serves the pages over the server at `base`; their address. */
export async function viteOver(base) {
  process.env.TAFFRAIL_URL = base;
  const vite = await createServer({
    root: web,
    configFile: join(web, "vite.config.ts"),
    logLevel: "error",
    // What is there now: no reload while files are edited.
    server: { port: 0, strictPort: false, host: "127.0.0.1", hmr: false, watch: null },
    cacheDir: join(web, "node_modules/.vite-screenshots"),
  });
  await vite.listen();
  open.push(vite);
  return `http://127.0.0.1:${vite.httpServer.address().port}`;
}

/** Serves `dist` as it was built over the server at `base`; its address. */
export async function distOver(base) {
  process.env.TAFFRAIL_URL = base;
  const vite = await preview({ root: web, configFile: join(web, "vite.config.ts"), logLevel: "error", preview: { port: 0, host: "127.0.0.1" } });
  open.push(vite);
  return `http://127.0.0.1:${vite.httpServer.address().port}`;
}

export async function closeVites() {
  await Promise.all(open.map((vite) => vite.close()));
}
