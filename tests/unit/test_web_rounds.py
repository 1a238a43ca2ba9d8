"""Work in rounds: so many go on at a time, and the event loop has its turn between."""

import asyncio

from gateway.web.rounds import Rounds


async def test_those_who_come_together_go_on_in_rounds() -> None:
    rounds, loop = Rounds(3), asyncio.get_running_loop()
    passed: list[str] = []

    async def caller(number: int) -> None:
        await rounds.turn()
        passed.append(f"caller {number}")
        # What a caller starts is done before the next round's callers go on.
        if number % 3 == 0:
            loop.call_soon(passed.append, f"sent by {number}")

    await asyncio.gather(*(caller(number) for number in range(8)))
    assert passed.index("sent by 0") < passed.index("caller 3")
    assert passed.index("sent by 3") < passed.index("caller 6")


async def test_a_caller_who_gives_up_keeps_nobody_waiting() -> None:
    rounds = Rounds(1)
    await rounds.turn()
    waiting = [asyncio.create_task(rounds.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    # The first has gone on, the second waits for the next round and gives up, the third still waits.
    waiting[1].cancel()
    await asyncio.wait_for(asyncio.gather(waiting[0], waiting[2]), 5)
    assert waiting[1].cancelled()


async def test_nobody_goes_on_before_those_who_came_earlier() -> None:
    rounds, passed = Rounds(2), list[int]()

    async def caller(number: int) -> None:
        await rounds.turn()
        passed.append(number)

    async with asyncio.TaskGroup() as callers:
        for number in range(12):
            callers.create_task(caller(number))
            # Some come together, others while earlier ones still wait.
            if number % 5 == 0:
                await asyncio.sleep(0)
    assert passed == sorted(passed)
    assert len(passed) == 12
