// Contrast of every pair of tokens that the design puts together (WCAG 2.2: 4.5 for text, 3 for
// the borders of controls and the areas of charts).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");

function tokens(selector: string): Record<string, string> {
  const start = css.indexOf(`${selector} {`);
  const body = css.slice(start, css.indexOf("\n}", start));
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]]));
}

function luminance(hex: string): number {
  const channels = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
  const [r, g, b] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

const texts = ["text", "muted", "accent", "ok"].concat(
  ["trace", "debug", "info", "warn", "error", "critical"].map((level) => `level-${level}`),
);
const backgrounds = ["canvas", "surface", "hover", "selected", "overlay", "overlay-hover"];
const themes = { light: tokens(":root"), dark: tokens(':root[data-theme="dark"]') };

for (const [theme, values] of Object.entries(themes)) {
  const check = (front: string, back: string, least: number) =>
    expect(
      contrast(values[front]!, values[back]!),
      `${theme}: ${front} ${values[front]} on ${back} ${values[back]}`,
    ).toBeGreaterThanOrEqual(least);

  describe(theme, () => {
    test("text is readable on every background", () => {
      for (const front of texts) for (const back of backgrounds) check(front, back, 4.5);
      for (const back of ["accent", "accent-strong"]) check("on-accent", back, 4.5);
      check("on-mark", "mark", 4.5);
      check("on-tip", "tip", 4.5);
      for (const kind of ["warn", "error"]) {
        for (const front of ["text", "muted", `level-${kind}`]) check(front, `${kind}-surface`, 4.5);
      }
    });
    test("controls and charts stand out", () => {
      for (const back of ["canvas", "surface", "hover", "selected"]) check("control-border", back, 3);
      for (const kind of ["info", "warn", "error", "critical", "other"]) check(`chart-${kind}`, "canvas", 3);
      for (let series = 0; series < 8; series += 1) check(`series-${series}`, "canvas", 3);
    });
    test("both themes have the same colours", () => {
      expect(Object.keys(values).sort()).toEqual(Object.keys(themes.light).sort());
    });
  });
}
