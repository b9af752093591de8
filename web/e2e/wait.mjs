// Waiting for a condition, never for a time.

const LOOK_EVERY_MS = 25;

/** The first truthy value that `look` gives; what it throws ends the waiting. */
export async function until(what, limitMs, look) {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${limitMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
