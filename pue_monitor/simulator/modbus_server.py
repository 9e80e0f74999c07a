"""A small Modbus TCP server: functions 3 and 4, several units behind one port, answers that may fail, be late or never come.

Own code, because a test bench must send exactly what it means to: a library's server may mix up transaction ids under load.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Final

READ: Final = (3, 4)
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, GATEWAY_NO_RESPONSE = 1, 2, 3, 11
LATE_S: Final = 2

Unit = Callable[[], tuple[str, Mapping[int, int]]]
"""Of one unit, now: how it answers ('', 'dead', 'exception', 'late') and its registers by address."""


async def serve(host: str, port: int, units: Mapping[int, Unit]) -> asyncio.Server:
    """Listen; port 0 takes a free one.  The caller closes the server."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readexactly(7)
                transaction, protocol, length, unit = struct.unpack(">HHHB", header)
                if protocol != 0 or not 2 <= length <= 254:
                    return
                pdu = await reader.readexactly(length - 1)
                answer = await _answer(units, unit, pdu)
                if answer is not None:
                    writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client went away
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port)


async def _answer(units: Mapping[int, Unit], unit: int, pdu: bytes) -> bytes | None:
    function = pdu[0]
    if unit not in units:
        return bytes([function | 0x80, GATEWAY_NO_RESPONSE])
    how, registers = units[unit]()
    if how == "dead":
        return None
    if how == "late":
        await asyncio.sleep(LATE_S)
    if how == "exception":
        return bytes([function | 0x80, GATEWAY_NO_RESPONSE])
    if function not in READ:
        return bytes([function | 0x80, ILLEGAL_FUNCTION])
    if len(pdu) != 5:
        return bytes([function | 0x80, ILLEGAL_VALUE])
    address, count = struct.unpack(">HH", pdu[1:])
    if not 1 <= count <= 125:
        return bytes([function | 0x80, ILLEGAL_VALUE])
    if any(place not in registers for place in range(address, address + count)):
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    words = [registers[place] for place in range(address, address + count)]
    return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)
