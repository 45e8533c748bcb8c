"""The house is put together so that whoever is gone gets nothing of the same batch any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chatserver.command.build import opened
from chatserver.command.settings import Settings
from chatserver.core import vocabulary
from chatserver.core.changes import LoginsEnd
from chatserver.core.errors import SIGNED_OUT
from tests.delivery.kit import Probe
from tests.store.kit import message
from tests.support.payments import paid


async def test_a_reader_whose_login_ends_gets_nothing_of_the_same_batch(data: Path) -> None:
    async with opened(Settings(data=data)) as house:
        fields = {"email": "ann@example.com", "password": "correct horse", "firstName": "Ann"}
        ann = await house.accounts.register(fields, None)
        mailbox = await house.delivery.mailboxes.open(ann.id)
        going = Probe(house.delivery.readers, mailbox, "going")
        staying = Probe(house.delivery.readers, mailbox, "staying")
        for probe in (going, staying):
            house.delivery.readers.attach(probe)
        end = vocabulary.notice(LoginsEnd(ann.id, ("going",)))
        batches: list[int] = []
        house.journal._followers = (  # type: ignore[attr-defined]
            lambda events: batches.append(len(events)),
            *house.journal._followers,  # type: ignore[attr-defined]
        )
        await asyncio.gather(
            house.journal.append(paid(), end), house.journal.append(paid(), message(ann.id))
        )
        assert batches == [2], "they were one batch"
        assert (going.endings, going.got) == ([SIGNED_OUT], [])
        assert (staying.endings, len(staying.got)) == ([], 1)
