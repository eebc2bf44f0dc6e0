#!/usr/bin/python3
# Copyright The wsproxy Authors.
# SPDX-License-Identifier: Apache-2.0
"""The client's part of the test on the websockets library: client.py URL"""

import asyncio
import sys

import websockets

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 300000]


def connect():
    return websockets.connect(sys.argv[1], max_size=None, subprotocols=["chat.v1", "chat.v2"])


async def until_closed(ws):
    try:
        while True:
            await ws.recv()
    except websockets.ConnectionClosed:
        return ws.close_code, ws.close_reason


def say(*what):
    print(*what, flush=True)


async def main():
    async with connect() as ws:
        say("subprotocol", ws.subprotocol)
        say("compressed", str(any("deflate" in e.name for e in ws.extensions)).lower())
        for size in SIZES:
            for message in ["ä" * (size // 2), bytes(range(256)) * (size // 256 + 1)]:
                await ws.send(message)
                assert await ws.recv() == message, f"echo of {size}"
        say("echo")
        await ws.send(["in ", "", "three", " fragments"])
        assert await ws.recv() == "in three fragments"
        await ws.send("/fragments")
        assert await ws.recv() == "fragmented"
        say("fragments")
        pong = await ws.ping(b"are you there")
        await asyncio.wait_for(pong, 20)
        say("pong")
        await ws.send("/close 4001 genug für heute")
        say("closed", *await until_closed(ws))
    async with connect() as ws:
        await ws.close(4002, "tschüß")
        say("answered", ws.close_code, ws.close_reason)
    async with connect() as ws:
        await ws.send("/abort")
        code, _ = await until_closed(ws)
        say("aborted", code)
    ws = await connect()
    await ws.send("x")
    await ws.recv()
    ws.transport.abort()
    say("left")


asyncio.run(main())
