// Every state of the UI as a picture, to be looked at.
//
//   node e2e/screenshots.mjs [--out FOLDER] [--only NAME,…] [--theme T] [--width N] [--dev | --dist]
//   node e2e/screenshots.mjs --readme [--dev | --dist]
//
// `--dev` shows the pages as Vite serves them, without a build; the page of all components is there
// alone. `--dist` takes them from `dist` rather than from the program. `--readme` takes those that the
// README shows, into `docs/screenshots`. Ends with status 1 when a state could not be reached.
// TAFFRAIL_E2E_BINARY is the program.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { contextOf, THEMES, WIDTHS } from "./screenshots-browser.mjs";
import { Stage } from "./screenshots-stage.mjs";
import { statesAt } from "./screenshots-states.mjs";
import { closeVites, distOver, viteOver } from "./screenshots-vite.mjs";

const web = fileURLToPath(new URL("..", import.meta.url));
const { values: options } = parseArgs({
  options: {
    out: { type: "string" },
    only: { type: "string" },
    theme: { type: "string" },
    width: { type: "string" },
    dev: { type: "boolean", default: false },
    dist: { type: "boolean", default: false },
    readme: { type: "boolean", default: false },
  },
});
/** What the README shows: pictures by state and width, without their extension and theme. */
const OF_README = { "logs 1440": "logs", "detail-trace 1440": "detail-trace", "timechart 1440": "timechart", "live-paused 1440": "live-paused", "logs 390": "logs-phone" };
const out = options.readme ? join(web, "../docs/screenshots") : options.out ?? join(process.env.CARGO_TARGET_DIR ?? join(web, "../target"), "screenshots");
const only = options.only?.split(",");
const themes = options.theme ? [options.theme] : THEMES;
const widths = options.width ? [Number(options.width)] : Object.keys(WIDTHS).map(Number);

/** What the picture of a state is called; nothing if it is not wanted. */
function pictureOf({ name }, width, theme) {
  if (!options.readme) return !only || only.includes(name) ? `${name}-${theme}-${width}` : null;
  const called = OF_README[`${name} ${width}`];
  return called ? `${called}-${theme}` : null;
}

/** The page of all components, as long as it is. */
async function components(stage, theme) {
  const base = options.dev ? stage.pages.get(stage.full) : await viteOver(stage.full.base);
  const context = await contextOf(stage.browser, base, { theme });
  const page = await context.newPage();
  await page.goto("/dev/components");
  await page.getByRole("heading").nth(2).waitFor();
  await page.setViewportSize({ width: 1440, height: await page.evaluate(() => Math.min(6_000, document.querySelector("#screen").scrollHeight + 60)) });
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(out, `components-${theme}-1440.png`) });
  await context.close();
}

mkdirSync(out, { recursive: true });
const failed = [];
let taken = 0;
const stage = await Stage.open({ serve: options.dev ? viteOver : options.dist ? distOver : null });
try {
  for (const width of widths) {
    for (const theme of themes) {
      for (const state of statesAt(width)) {
        const name = pictureOf(state, width, theme);
        if (name === null) continue;
        try {
          await stage.inState(state, { theme, width }, (page) => page.screenshot({ path: join(out, `${name}.png`) }));
          taken += 1;
        } catch (error) {
          failed.push(`${name}: ${error.message.split("\n")[0]}`);
          console.error(`not taken: ${failed.at(-1)}`);
        }
      }
      if (width === 1440 && !options.readme && (!only || only.includes("components"))) {
        await components(stage, theme);
        taken += 1;
      }
    }
  }
} finally {
  await stage.close();
  await closeVites();
}
console.log(`${taken} pictures in ${out}`);
if (failed.length > 0) {
  console.error(`${failed.length} states could not be reached`);
  process.exit(1);
}
