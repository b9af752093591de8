// Every state of the UI as a picture, to be looked at.
//
//   node e2e/screenshots.mjs [--out FOLDER] [--only NAME,…] [--theme T] [--width N] [--dev]
//
// `--dev` shows the pages as Vite serves them, without a build; the page of all components is there
// alone. Ends with status 1 when a state could not be reached. TAFFRAIL_E2E_BINARY is the program.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createServer } from "vite";
import { contextOf, THEMES, WIDTHS } from "./screenshots-browser.mjs";
import { Stage } from "./screenshots-stage.mjs";
import { settled, statesAt } from "./screenshots-states.mjs";

const web = fileURLToPath(new URL("..", import.meta.url));
const { values: options } = parseArgs({
  options: {
    out: { type: "string" },
    only: { type: "string" },
    theme: { type: "string" },
    width: { type: "string" },
    dev: { type: "boolean", default: false },
  },
});
const out = options.out ?? join(process.env.CARGO_TARGET_DIR ?? join(web, "../target"), "screenshots");
const only = options.only?.split(",");
const themes = options.theme ? [options.theme] : THEMES;
const widths = options.width ? [Number(options.width)] : Object.keys(WIDTHS).map(Number);

const vites = [];
/** Vite over a server; the address of its pages. */
async function viteOver(base) {
  process.env.TAFFRAIL_URL = base;
  const vite = await createServer({
    root: web,
    configFile: join(web, "vite.config.ts"),
    logLevel: "error",
    // Pictures of what is there now: no reload while files are edited.
    server: { port: 0, strictPort: false, host: "127.0.0.1", hmr: false, watch: null },
    cacheDir: join(web, "node_modules/.vite-screenshots"),
  });
  await vite.listen();
  vites.push(vite);
  return `http://127.0.0.1:${vite.httpServer.address().port}`;
}

/** The page of all components, as long as it is. */
async function components(stage, theme) {
  const base = options.dev ? stage.pages.get(stage.full) : await viteOver(stage.full.base);
  const context = await contextOf(stage.browser, base, { theme });
  const page = await context.newPage();
  await page.goto("/dev/components");
  await page.getByRole("heading").nth(2).waitFor();
  await page.setViewportSize({ width: 1440, height: await page.evaluate(() => Math.min(6_000, document.querySelector("#screen").scrollHeight + 60)) });
  await settled(page);
  await page.screenshot({ path: join(out, `components-${theme}-1440.png`) });
  await context.close();
}

mkdirSync(out, { recursive: true });
const failed = [];
let taken = 0;
const stage = await Stage.open({ serve: options.dev ? viteOver : null });
try {
  for (const width of widths) {
    for (const theme of themes) {
      for (const state of statesAt(width).filter(({ name }) => !only || only.includes(name))) {
        const name = `${state.name}-${theme}-${width}`;
        try {
          await stage.inState(state, { theme, width }, (page) => page.screenshot({ path: join(out, `${name}.png`) }));
          taken += 1;
        } catch (error) {
          failed.push(`${name}: ${error.message.split("\n")[0]}`);
          console.error(`not taken: ${failed.at(-1)}`);
        }
      }
      if (width === 1440 && (!only || only.includes("components"))) {
        await components(stage, theme);
        taken += 1;
      }
    }
  }
} finally {
  await stage.close();
  await Promise.all(vites.map((vite) => vite.close()));
}
console.log(`${taken} pictures in ${out}`);
if (failed.length > 0) {
  console.error(`${failed.length} states could not be reached`);
  process.exit(1);
}
