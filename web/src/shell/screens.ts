// The screens: address, name, place in the navigation, code. One that does not exist is not listed.
import KeyRound from "@lucide/svelte/icons/key-round";
import Logs from "@lucide/svelte/icons/logs";
import Server from "@lucide/svelte/icons/server";
import type { Component } from "svelte";
import LogsScreen from "../routes/logs/Logs.svelte";

export interface Screen {
  path: string;
  title: string;
  /** `null`: reached by link alone. */
  group: "Observe" | "Platform" | "Admin" | null;
  icon: Component<Record<string, unknown>>;
  /** Command of the keyboard map that goes there. */
  command?: string;
  /** Whether it shows records of a time and scope, so that the bar offers them. */
  isTimed: boolean;
  /** The code, where it came with the shell: the first screen is drawn in one go with it. */
  component?: Component;
  /** Fetches the code of any other. */
  load?: () => Promise<{ default: Component }>;
}

export const SCREENS: Screen[] = [
  {
    path: "/logs",
    title: "Logs",
    group: "Observe",
    icon: Logs,
    command: "go.logs",
    isTimed: true,
    component: LogsScreen,
  },
  {
    path: "/instances",
    title: "My instances",
    group: "Platform",
    icon: Server,
    command: "go.instances",
    isTimed: true,
    load: () => import("../routes/instances/Instances.svelte"),
  },
  {
    path: "/settings",
    title: "Settings",
    group: "Admin",
    icon: KeyRound,
    command: "go.settings",
    isTimed: false,
    load: () => import("../routes/settings/Settings.svelte"),
  },
];

if (import.meta.env.DEV) {
  SCREENS.push({
    path: "/dev/components",
    title: "Components",
    group: null,
    icon: Logs,
    isTimed: true,
    load: () => import("../routes/dev/Components.svelte"),
  });
}

export const HOME = "/logs";

export function screenAt(path: string): Screen | undefined {
  return SCREENS.find((screen) => path === screen.path || path.startsWith(`${screen.path}/`));
}
