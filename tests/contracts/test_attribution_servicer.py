"""What attribution answers: evidence, verification, models."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from touchstone.attribution.v1 import credit_pb2, credit_service_pb2, model_service_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, model_pb2

from services.attribution import background
from services.attribution.background import agrees, check_some
from services.attribution.domain.models import DEFAULT_MODELS
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
    listed = {model.name: model for model in (await list_models(keeper)).models}
    assert sorted(listed) == [model.name for model in DEFAULT_MODELS]
    default = listed["conversations"]
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


class Ingest:
    """The event log's end that takes what is appended; `meanwhile` comes before it."""

    def __init__(self, keeper: Keeper, *meanwhile: event_pb2.LoggedEvent) -> None:
        self.keeper = keeper
        self.meanwhile = meanwhile

    async def AppendDeliveries(  # noqa: N802 - gRPC's name
        self, request: event_service_pb2.AppendDeliveriesRequest
    ) -> event_service_pb2.AppendDeliveriesResponse:
        [delivery] = request.deliveries
        assert (delivery.tenant_id, delivery.source) == ("acme", "touchstone")
        appended = [logged(event, delivery.tenant_id, delivery.source) for event in delivery.events]
        await self.keeper.tell(*self.meanwhile, *appended)
        accepted = event_service_pb2.EventResult(status=event_service_pb2.EventResult.ACCEPTED)
        return event_service_pb2.AppendDeliveriesResponse(
            results=[event_service_pb2.DeliveryResult(events=[accepted for _ in appended])]
        )


def conversations(**more: object) -> model_pb2.Model:
    return model_pb2.Model(name="conversations", active=True, rule="LAST_TOUCH", window=timedelta(days=2), **more)


async def replace(ingest: Ingest, *models: model_pb2.Model) -> dict[str, int]:
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"admin"})))
    servicer = ModelServicer(lambda: ingest.keeper.engine, ingest)
    answer = await servicer.ReplaceModels(model_service_pb2.ReplaceModelsRequest(models=models), None)
    return {model.name: model.version for model in answer.models}


async def test_replaced_models_are_numbered_and_listed_while_their_credits_are_computed(keeper: Keeper) -> None:
    await keeper.tell(*(logged(order(str(number))) for number in range(3)))
    ingest = Ingest(keeper)
    extra = model_pb2.Model(name="extra", version=77, active=True, window=timedelta(days=1))
    assert await replace(ingest, extra, conversations(version=9)) == {"conversations": 2, "extra": 1}
    listed = await list_models(keeper)
    assert [(model.name, model.version) for model in listed.models] == [("conversations", 2), ("extra", 1)]
    assert (listed.recomputation.done, listed.recomputation.total) == (0, 3)
    await keeper.settle()
    assert not (await list_models(keeper)).HasField("recomputation")
    assert await replace(ingest, conversations()) == {"conversations": 2}
    assert await replace(ingest, extra, conversations(helpful_only=True)) == {"conversations": 3, "extra": 2}


async def test_of_two_replacements_at_once_each_has_versions_of_its_own(keeper: Keeper) -> None:
    other = event_pb2.Event(event_id="other", models=model_pb2.ModelSet(models=[conversations(helpful_only=True)]))
    meanwhile = logged(other, source="touchstone")
    assert await replace(Ingest(keeper, meanwhile), conversations()) == {"conversations": 3}


@pytest.mark.parametrize(
    ("models", "field"),
    [
        ((), "models"),
        ((conversations(), conversations()), "models[1].name"),
        ((model_pb2.Model(name="No", window=timedelta(days=1)),), "models[0].name"),
        ((model_pb2.Model(name="none"),), "models[0].window"),
        ((model_pb2.Model(name="decay", window=timedelta(days=1), rule="TIME_DECAY"),), "models[0].halfLife"),
        ((model_pb2.Model(name="new", window=timedelta(days=1), rule=99),), "models[0].rule"),
    ],
)
async def test_a_set_that_cannot_hold_is_refused(
    keeper: Keeper, models: tuple[model_pb2.Model, ...], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await replace(Ingest(keeper), *models)
    assert field in {violation.field for violation in refused.value.violations}


async def test_a_model_that_is_kept_or_coming_explains_too(keeper: Keeper) -> None:
    await keeper.tell(
        logged(order("1", {"email": "me"})),
        logged(interaction("early", before_noon(hours=30), {"email": "me"})),
        logged(interaction("late", before_noon(hours=1), {"email": "me"})),
    )
    kept = conversations()
    kept.name, kept.active = "kept", False
    coming = conversations()
    coming.name = "coming"
    told = event_pb2.Event(event_id="m", models=model_pb2.ModelSet(models=[kept, coming]))
    await keeper.tell(logged(told, source="touchstone"))
    for model in ("kept", "coming"):
        evidence = await explain(keeper, "1", model=model)
        assert [one.touch.event_id for one in evidence.credits] == ["late"]
        assert (evidence.model, evidence.agrees_with_stored, evidence.touch_count) == (model, True, 2)
    assert [one.touch.event_id for one in (await explain(keeper, "1")).credits] == ["late"]


async def alarms(keeper: Keeper) -> int:
    return (await verify(keeper))[-1].standing_alarms


async def test_the_check_that_never_ends_raises_alarms_and_clears_them(
    keeper: Keeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "CHECKED_AT_ONCE", 2)
    await keeper.tell(*(logged(order(str(number), {"email": "me@secret"})) for number in range(5)))
    for _ in range(3):
        await check_some(keeper.engine)
    assert (await alarms(keeper), caplog.records) == (0, [])
    await tamper(keeper)
    for _ in range(3):
        await check_some(keeper.engine)
    assert await alarms(keeper) == 1
    assert not await agrees(keeper.engine)
    assert [record.getMessage() for record in caplog.records] == [
        "stored credits differ from those computed: order 1 of acme/shop"
    ]
    async with keeper.engine.begin() as connection:
        mended = "UPDATE known_order SET credits = substring(credits FOR length(credits) - 1) WHERE order_id = '1'"
        await connection.execute(text(mended))
    # At once: those that differ are looked at again with each page.
    await check_some(keeper.engine)
    assert await alarms(keeper) == 0
    assert await agrees(keeper.engine)
