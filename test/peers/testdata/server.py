#!/usr/bin/python3
# Copyright The wsproxy Authors.
# SPDX-License-Identifier: Apache-2.0
"""An echo server on the websockets library: prints "listening PORT", and how each connection ended."""

import asyncio

import websockets


async def serve(ws, *_):
    try:
        async for message in ws:
            if not isinstance(message, str) or not message.startswith("/"):
                await ws.send(message)
                continue
            command, _, rest = message[1:].partition(" ")
            if command == "close":
                code, _, reason = rest.partition(" ")
                await ws.close(int(code), reason)
            elif command == "fragments":
                await ws.send(["frag", "men", "", "ted"])
            elif command == "abort":
                ws.transport.abort()
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    print("closed", ws.close_code, ws.close_reason, flush=True)


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0, max_size=None, subprotocols=["chat.v2"]) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
