"""Drives one MCP server over stdio with the official Python client; see drive_node.mjs."""
import asyncio
import json
import os
import sys
import time

import mcp.client.stdio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

# Two seconds after it has closed stdin the client ends a server with a signal. On a machine that has
# much else to do Python itself may need that long, bare or not, and no exit code is to be compared.
mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT = 30.0


async def ask(answers, name, question):
    try:
        await question
        answers.append([name, "answered"])
    except Exception as error:  # the answer of a server, whatever it is, is what is compared
        answers.append([name, f"error {error}"])


async def main():
    plan, command, args = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    server = StdioServerParameters(command=command, args=args, env=dict(os.environ))
    answers, round_trips_ms = [], []
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        async with Client(stdio_client(server, errlog=nowhere), mode=plan["mode"]) as client:
            able = client.server_capabilities
            await ask(answers, "tools/list", client.list_tools())
            if able and able.resources:
                await ask(answers, "resources/list", client.list_resources())
            if able and able.prompts:
                await ask(answers, "prompts/list", client.list_prompts())
            for name, values in plan["calls"]:
                await ask(answers, f"tools/call {name}", client.call_tool(name, values))
            if plan["calls"]:
                name, values = plan["calls"][-1]
                for _ in range(plan["repeat"]):
                    start = time.perf_counter()
                    await client.call_tool(name, values)
                    round_trips_ms.append((time.perf_counter() - start) * 1000)
            version = client.protocol_version
    print(json.dumps({"version": version, "answers": answers, "round_trips_ms": round_trips_ms}))


asyncio.run(main())
