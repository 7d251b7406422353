"""The transport to this machine: the same start command, without SSH."""

from __future__ import annotations

from edgewright.wire.process_channel import ProcessChannel


class LocalTransport:
    """This machine as a board; the contract is `transport.Transport`.

    Args:
        shell: the shell to use as the login shell.
    """

    def __init__(self, shell: str = "/bin/sh") -> None:
        self._shell = shell
        self._channels: list[ProcessChannel] = []

    def run(self, command: str) -> ProcessChannel:
        channel = ProcessChannel([self._shell, "-c", command], "the command on this machine")
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        while self._channels:
            self._channels.pop().close()
