/** Groups of streams by the first part of their names. */
export const STREAM_GROUPS: [pattern: string, label: string][] = [
  ["app.*", "Applications"],
  ["instance.*", "MCP instances"],
  ["mcp.*", "MCP connections"],
  ["agent.*", "Agents"],
  ["system.*", "Taffrail and platform"],
];
