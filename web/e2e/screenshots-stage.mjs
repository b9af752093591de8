// Two servers (one with the demonstration's records, one without any) and pages in every state.
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { contextOf } from "./screenshots-browser.mjs";
import { demoRecords, fill, STREAM } from "./screenshots-data.mjs";
import { LENA, makePeople } from "./screenshots-states.mjs";
import { ADMIN, Server } from "./server.mjs";

/** The program; the debug build without it. */
const BINARY = process.env.TAFFRAIL_E2E_BINARY ?? fileURLToPath(new URL("../../target/debug/taffrail", import.meta.url));
/** A record comes so often while a live tail is looked at. */
const LIVE_EVERY_MS = 120;
/** A state that takes longer has failed. */
const STATE_MAX_MS = 20_000;

export class Stage {
  /** Fresh records that were sent. */
  sent = 0;

  /** `pages`: address of pages that are served elsewhere, such as by Vite, over the server. */
  static async open({ serve = null } = {}) {
    const stage = new Stage();
    stage.full = new Server(BINARY);
    stage.empty = new Server(BINARY);
    try {
      await Promise.all([stage.full.start(), stage.empty.start()]);
      const end = Date.now();
      await fill(stage.full, end);
      await makePeople(stage.full);
      stage.fresh = demoRecords(end, 400, 11);
      stage.pages = new Map([
        [stage.full, serve ? await serve(stage.full.base) : stage.full.base],
        [stage.empty, serve ? await serve(stage.empty.base) : stage.empty.base],
      ]);
      stage.browser = await launch();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async close() {
    await this.browser?.close();
    await Promise.all([this.full?.remove(), this.empty?.remove()]);
  }

  /** A page in a state, handed to `look`. */
  async inState(state, { theme, width }, look) {
    const server = state.isEmpty ? this.empty : this.full;
    const base = this.pages.get(server);
    const account = state.isOut ? null : state.account === "lena" ? LENA : ADMIN;
    const context = await contextOf(this.browser, base, { theme, width, account });
    const feed = state.isLive ? this.#feed() : null;
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(STATE_MAX_MS);
      const faults = [];
      page.on("pageerror", (error) => faults.push(error.message));
      await state.before?.(page);
      await page.goto(state.path);
      await state.act(page);
      await look(page);
      if (faults.length > 0) throw new Error(`the page failed: ${faults[0]}`);
    } finally {
      feed?.stop();
      await context.close();
    }
  }

  /** Sends records as they would come, until it is stopped. */
  #feed() {
    const timer = setInterval(() => {
      const record = { ...this.fresh[this.sent % this.fresh.length], timestamp: new Date().toISOString() };
      this.sent += 1;
      this.full.send(STREAM, [record]).catch(() => clearInterval(timer));
    }, LIVE_EVERY_MS);
    return { stop: () => clearInterval(timer) };
  }
}
