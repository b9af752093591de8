import { expect, test } from "vitest";
import { place, type Side } from "./tips.svelte";

const page = { width: 1_000, height: 600 };
const box = { width: 100, height: 24 };
const anchor = (left: number, top: number) => ({ left, top, right: left + 28, bottom: top + 28 });

test.each([
  ["below", anchor(400, 100), "bottom", { left: 364, top: 134 }],
  ["flipped above at the end of the page", anchor(400, 560), "bottom", { left: 364, top: 530 }],
  ["moved in at the left edge", anchor(0, 100), "bottom", { left: 8, top: 134 }],
  ["moved in at the right edge", anchor(972, 100), "bottom", { left: 892, top: 134 }],
  ["to the right", anchor(10, 100), "right", { left: 44, top: 102 }],
] as [string, ReturnType<typeof anchor>, Side, { left: number; top: number }][])("%s", (_, at, side, expected) =>
  expect(place(at, box, side, page)).toEqual(expected),
);
