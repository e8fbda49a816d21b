"""HOST:PORT on command lines."""

from __future__ import annotations

from typing import Any

import click


class HostPort(click.ParamType[tuple[str, int]]):
    """(host, port); IPv6 addresses in brackets. An empty host is every address of IPv4 and IPv6."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080", param, context)
        return host.strip("[]"), int(port)
