// Entries of a menu, as data.
import type { Component } from "svelte";

export interface MenuAction {
  label: string;
  icon?: Component<Record<string, unknown>>;
  /** Keys of the keyboard map that do the same. */
  keys?: string;
  /** A second, quiet word, such as a count. */
  note?: string;
  isDangerous?: boolean;
  isDisabled?: boolean;
  /** With this the entry is one of a choice. */
  isChecked?: boolean;
  /** Goes there instead of running something. */
  href?: string;
  run?: () => void;
}

export type MenuEntry = MenuAction | { heading: string } | "separator";
