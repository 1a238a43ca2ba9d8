"""What attribution answers: evidence, verification, models."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from touchstone.attribution.v1 import credit_pb2, credit_service_pb2, model_service_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2

from services.attribution.model_servicer import ModelServicer
from services.attribution.servicer import CreditServicer
from services.chassis.callers import Caller, set_caller
from services.kernel.failures import InvalidArgumentError, NotFoundError
from tests.attribution.keeping import Keeper
from tests.attribution.telling import EUR, before_noon, interaction, logged, notice, order, people

Verdict = credit_pb2.ConsideredTouch.Verdict


@pytest.fixture
async def keeper(new_database: Callable[[], str]) -> AsyncIterator[Keeper]:
    kept = await Keeper.on(new_database())
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    yield kept
    await kept.engine.dispose()


async def explain(keeper: Keeper, order_id: str, **more: str) -> credit_pb2.Evidence:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    request = credit_service_pb2.ExplainOrderRequest(order_id=order_id, **more)
    return (await CreditServicer(lambda: keeper.engine).ExplainOrder(request, None)).evidence


async def verify(keeper: Keeper) -> list[credit_service_pb2.VerifyCreditsResponse]:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    answers = CreditServicer(lambda: keeper.engine).VerifyCredits(credit_service_pb2.VerifyCreditsRequest(), None)
    return [credit_service_pb2.VerifyCreditsResponse.FromString(one.SerializeToString()) async for one in answers]


async def tamper(keeper: Keeper) -> None:
    async with keeper.engine.begin() as connection:
        await connection.execute(text("UPDATE known_order SET credits = credits || '\\x00' WHERE order_id = '1'"))


async def test_evidence_names_every_touch_and_meets_what_is_stored(keeper: Keeper) -> None:
    by = {"session_id": "s", "email": "me", "phone": "p", "visitor_id": "v"}
    await keeper.tell(
        logged(order("1", by)),
        logged(interaction("too-late", before_noon(hours=-1), {"session_id": "s"})),
        logged(interaction("too-early", before_noon(hours=25), {"email": "me"})),
        logged(interaction("mail", before_noon(hours=3), {"email": "me"}), source="api"),
        logged(interaction("first", before_noon(hours=2), {"session_id": "s"})),
        logged(interaction("second", before_noon(hours=1), {"session_id": "s"})),
        logged(interaction("shared", before_noon(hours=4), {"phone": "p"})),
        logged(interaction("linked", before_noon(hours=5), {"visitor_id": "w"})),
        logged(interaction("stranger", before_noon(hours=5), {"visitor_id": "x"})),
    )
    await keeper.tell_people(
        people(persons={("EMAIL", "me"): 1, ("VISITOR", "w"): 1, ("VISITOR", "x"): 2}, hubs={("PHONE", "p"): True})
    )
    evidence = await explain(keeper, "1")
    assert [(one.event_id, Verdict.Name(one.verdict)) for one in evidence.touches] == [
        ("too-early", "OUTSIDE_WINDOW"),
        ("linked", "LOWER_TIER"),
        ("shared", "HUB"),
        ("mail", "LOWER_TIER"),
        ("first", "CREDITED"),
        ("second", "NOT_FIRST"),
        ("too-late", "AFTER_ORDER"),
    ]
    assert [(one.touch.event_id, one.fraction, one.amount.micros) for one in evidence.credits] == [
        ("first", 1.0, 100 * EUR)
    ]
    assert (evidence.counted, evidence.matched_by, evidence.agrees_with_stored) == (True, 1, True)
    assert (evidence.model, evidence.model_version, evidence.amount.currency_code) == ("conversations", 1, "EUR")


async def test_evidence_of_an_order_that_does_not_count(keeper: Keeper) -> None:
    await keeper.tell(
        logged(order("1", {"email": "me"}, status="cancelled")),
        logged(interaction("t", before_noon(hours=1), {"email": "me"})),
    )
    evidence = await explain(keeper, "1")
    assert (evidence.counted, evidence.excluded_reason) == (False, credit_pb2.Exclusion.Reason.CANCELLED)
    assert [Verdict.Name(one.verdict) for one in evidence.touches] == ["ORDER_NOT_COUNTED"]
    assert (list(evidence.credits), evidence.matched_by, evidence.agrees_with_stored) == ([], 0, True)


async def test_what_is_not_there_is_said(keeper: Keeper) -> None:
    await keeper.tell(
        logged(order("1", total_micros=EUR), source="one"),
        logged(order("1", total_micros=2 * EUR), source="two"),
        logged(order("1"), "rival", "three"),
        logged(notice("2", "TRASHED")),
    )
    for unknown in ("2", "3"):
        with pytest.raises(NotFoundError) as missing:
            await explain(keeper, unknown)
        assert missing.value.reason == "ORDER_NOT_FOUND"
    with pytest.raises(NotFoundError):
        await explain(keeper, "1", source="three")
    with pytest.raises(InvalidArgumentError, match="one, two") as ambiguous:
        await explain(keeper, "1")
    assert [violation.field for violation in ambiguous.value.violations] == ["source"]
    assert (await explain(keeper, "1", source="two")).amount.micros == 2 * EUR
    with pytest.raises(InvalidArgumentError, match="conversations") as unknown_model:
        await explain(keeper, "1", source="one", model="last_click")
    assert [violation.field for violation in unknown_model.value.violations] == ["model"]


async def test_what_is_stored_otherwise_is_an_alarm(keeper: Keeper) -> None:
    await keeper.tell(logged(order("1")), logged(order("2")), logged(notice("3", "DELETED")))
    [last] = await verify(keeper)
    assert (last.checked, last.total, last.different) == (2, 2, 0)
    await tamper(keeper)
    assert not (await explain(keeper, "1")).agrees_with_stored
    [last] = await verify(keeper)
    assert (last.checked, last.total, last.different, list(last.different_order_ids)) == (2, 2, 1, ["1"])


async def test_verification_tells_how_far_it_is(keeper: Keeper) -> None:
    assert [(one.checked, one.total) for one in await verify(keeper)] == [(0, 0)]
    await keeper.tell(*(logged(order(f"{number:04}")) for number in range(700)))
    assert [(one.checked, one.total) for one in await verify(keeper)] == [(500, 700), (700, 700)]


async def list_models(keeper: Keeper, **asked: object) -> model_service_pb2.ListModelsResponse:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
    return await ModelServicer(lambda: keeper.engine, None).ListModels(
        model_service_pb2.ListModelsRequest(**asked), None
    )


async def test_models_are_the_tenants_own_or_the_default(keeper: Keeper) -> None:
    [default] = (await list_models(keeper)).models
    assert (default.name, default.version, default.window.seconds, default.active) == ("conversations", 1, 86400, True)
    assert (default.rule, default.anchor, default.helpful_only) == (1, 1, True)
    own = [
        model_pb2.Model(name=name, version=2, active=True, anchor=1, rule=5, half_life=timedelta(hours=2))
        for name in "bca"
    ]
    models = event_pb2.Event(event_id="m", models=model_pb2.ModelSet(models=own))
    await keeper.tell(logged(models, source="touchstone"))
    first = await list_models(keeper, page_size=2)
    assert [model.name for model in first.models] == ["a", "b"]
    rest = await list_models(keeper, page_size=2, page_token=first.next_page_token)
    assert ([model.name for model in rest.models], rest.next_page_token) == (["c"], "")
    assert rest.models[0].half_life.seconds == 7200
