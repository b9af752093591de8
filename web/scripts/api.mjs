// Writes src/api/schema.d.ts from the OpenAPI document; with --check only says whether it is up to
// date. Component bodies are never typed by hand.
import openapiTypescript, { astToString } from "openapi-typescript";
import { readFileSync, writeFileSync } from "node:fs";

const source = new URL("../../contracts/openapi.json", import.meta.url);
const target = new URL("../src/api/schema.d.ts", import.meta.url);
const head = "// Made from contracts/openapi.json by `npm run api`. Not edited by hand.\n";
const text = head + astToString(await openapiTypescript(source, { alphabetize: true, defaultNonNullable: false }));

if (process.argv.includes("--check")) {
  let before = "";
  try {
    before = readFileSync(target, "utf8");
  } catch {
    // Missing is out of date.
  }
  if (before !== text) {
    console.error("src/api/schema.d.ts does not match contracts/openapi.json: run `npm run api`");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
