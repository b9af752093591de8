// An empty server: from the first login to the first record.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { cookiesOf } from "../browser.mjs";
import { ADMIN, Server } from "../server.mjs";

const run = promisify(execFile);

async function firstRecord({ enter, browser, binary }) {
  const server = new Server(binary);
  try {
    await server.start();
    const one = await enter({ server, cookies: await cookiesOf(browser, server, ADMIN) });
    await one.go("/");
    await one.sees(one.page.getByRole("heading", { name: "No records yet" }));
    const snippet = one.page.locator(".snippet pre");
    assert.ok((await snippet.innerText()).includes("$TAFFRAIL_TOKEN"));
    await one.button("Make a key and put it in").click();
    await one.until("the key is in it", async () => (await snippet.innerText()).includes("Bearer tfr_"));
    await one.button("Copy the command").click();
    const command = await one.until("it is copied", () => one.clipboard());
    assert.equal(command, await snippet.innerText());
    const { stdout } = await run("sh", ["-c", `${command.replace(/^curl/, "curl --silent --fail")}`], { env: { PATH: process.env.PATH } });
    assert.equal(JSON.parse(stdout).data.accepted, 1);
    await one.sees(one.rows.getByText("hello, taffrail"));
    await one.settled();
    assert.equal(await one.total(), 1);
    await one.close();
  } finally {
    await server.remove();
  }
}

export const journeys = { "the first record of an empty server": firstRecord };
