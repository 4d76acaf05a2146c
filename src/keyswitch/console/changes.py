"""What has changed since when: one number for all that a console shows, larger with each change.

Who watches asks for what is newer than what they have, so that they see what is, and never more than that, however slow
they are.
"""

import asyncio


class Changes:
    """Topics, each with the number of its last change."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._version = 0
        self._changed = asyncio.Event()

    @property
    def version(self) -> int:
        """Of the newest change."""
        return self._version

    def note(self, topic: str) -> None:
        """A topic has changed."""
        self._version += 1
        self._versions[topic] = self._version
        self._changed.set()
        self._changed = asyncio.Event()

    def newer(self, version: int) -> list[str]:
        """The topics that changed after `version`, the oldest change first."""
        return sorted((each for each, at in self._versions.items() if at > version), key=self._versions.__getitem__)

    async def wait_newer(self, version: int) -> None:
        """Return when something has changed after `version`."""
        while self._version <= version:
            await self._changed.wait()
