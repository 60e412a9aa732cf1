"""Slow acts at the desk: what others propose may be of any form and length, and what a person orders is done."""

from typing import Any

import pytest
from sqlalchemy import select, update

from issuer.audit import schema
from issuer.audit.record import decode
from issuer.chain import calls
from issuer.errors import Refused
from issuer.messages.abi import checksum, keccak
from issuer.messages.contracts import AUTHORITY, TOKEN
from issuer.operations import powers
from issuer.reports import status
from issuer.store.intents import Intent
from issuer.store.states import FactState, IntentState
from issuer.store.tables import audit_record, fact, intent
from issuer.store.unit import Store
from tests.clock import START
from tests.integration.desk import ALICE, BOB, Desk
from tests.unit.test_calls import DEPLOYMENT

ACT = TOKEN.call("setReportAge", 86400, 3600)


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def act_id_of(act: str) -> str:
    return keccak(bytes.fromhex(act[2:]))


def propose(desk: Desk, act: str) -> str:
    """Somebody has proposed an act of the token; its id."""
    told: dict[str, Any] = {"contract": "token", "event": "Proposed", "readyAt": START, "by": ALICE}
    desk.chain("proposed", actId=act_id_of(act), act=act, **told)
    return act_id_of(act)


def records(desk: Desk, action: str) -> list[dict[str, Any]]:
    """What the records of an action hold, each as it is documented."""
    with desk.store.read() as connection:
        bodies = connection.scalars(select(audit_record.c.body).order_by(audit_record.c.id)).all()
    found = [record for record in map(decode, bodies) if record.action == action]
    for record in found:
        schema.check(record)
    return [dict(record.after or {}) for record in found]


def listed(desk: Desk) -> list[dict[str, Any]]:
    with desk.store.read() as connection:
        return powers.every(connection)


def test_a_long_act_of_others_is_recorded_by_its_hash_and_stops_no_fact_after_it(desk: Desk) -> None:
    act_id = propose(desk, ACT + "00" * 40_000)
    desk.chain("verified", account=ALICE)
    with desk.store.read() as connection:
        assert set(connection.scalars(select(fact.c.state))) == {FactState.APPLIED}
    assert records(desk, "chain.proposed")[0]["act"] == {"keccak256": act_id, "length": 40_068}
    desk.pass_time()
    desk.act(powers.take_up, act_id=act_id, case="c-1")
    assert records(desk, "power.accept")[0]["act"] == {"keccak256": act_id, "length": 40_068}


def test_a_long_label_and_a_long_act_of_the_authority_are_recorded_by_their_hashes(desk: Desk) -> None:
    told: dict[str, Any] = {"contract": "authority", "event": "RoleLabel", "roleId": 3}
    desk.chain("role", **told, label="\N{REPLACEMENT CHARACTER}\0" * 20_000)
    act = AUTHORITY.call("labelRole", 3, "x" * 40_000)
    told |= {"event": "OperationScheduled", "operationId": "0x" + "01" * 32, "nonce": 1, "schedule": START}
    desk.chain("role", **told, caller=ALICE, target=ALICE, data=act)
    label, scheduled = records(desk, "chain.role")
    assert label["label"]["length"] == 80_000
    assert scheduled["data"] == {"keccak256": act_id_of(act), "length": len(act) // 2 - 1}
    desk.act(powers.cancel, act_id=act_id_of(act), case="c-1")
    assert records(desk, "power.cancel")[0]["act"]["keccak256"] == act_id_of(act)
    assert desk.intents("cancel")[0]["act"] == act


def test_what_is_asked_for_here_is_recorded_whole_or_refused(desk: Desk) -> None:
    longest = ACT + "00" * (8191 - 68 - 1)
    desk.act(powers.propose, contract="token", act=longest, case="c-1")
    assert records(desk, "power.propose")[0]["act"] == longest
    with pytest.raises(Refused, match="the act is too long"):
        desk.act(powers.propose, contract="token", act=longest + "00", case="c-2")
    with pytest.raises(Refused, match="the label is too long"):
        desk.act(powers.use, "labelRole", {"roleId": 3, "label": "x" * 20_000}, case="c-3")
    assert [row["case"] for row in listed(desk)] == ["c-1"]


def test_an_act_that_cannot_be_read_is_shown_as_its_bytes(desk: Desk) -> None:
    propose(desk, ACT + "00")
    (shown,) = listed(desk)
    assert (shown["function"], shown["arguments"]) == (ACT[:10], {"data": ACT + "00"})


def order(desk: Desk) -> str:
    """An act that is proposed here, on chain, and ready; its id."""
    desk.act(powers.propose, contract="token", act=ACT, case="c-1")
    return propose(desk, ACT)


def close(desk: Desk, state: IntentState) -> None:
    """The last cancellation has ended like this."""
    with desk.store.unit("close") as unit:
        one = intent.c.id == desk.last_intent("cancel")
        unit.connection.execute(update(intent).where(one).values(state=state))


def test_what_a_person_has_ordered_to_be_cancelled_is_not_accepted(desk: Desk) -> None:
    act_id = order(desk)
    desk.act(powers.cancel, act_id=act_id, case="c-2")
    assert desk.act(powers.accept_ready) == 0
    act, cancellation = listed(desk)
    assert (cancellation["function"], cancellation["arguments"]) == ("cancel", {"act_id": act_id})
    assert (cancellation["state"], cancellation["case"], cancellation["act_id"]) == ("ordered", "c-2", None)
    assert status.acts([act, cancellation])[0].why == "its cancellation, which is ordered"
    close(desk, IntentState.BOUND)
    assert desk.act(powers.accept_ready) == 0
    close(desk, IntentState.VOID)
    assert [row["state"] for row in listed(desk)] == ["proposed", "refused"]
    assert desk.act(powers.accept_ready) == 1


def test_an_act_that_was_cancelled_once_may_be_ordered_again(desk: Desk) -> None:
    act_id = order(desk)
    desk.act(powers.cancel, act_id=act_id, case="c-2")
    close(desk, IntentState.DONE)
    desk.chain("cancelled", actId=act_id, contract="token", event="Cancelled", by=ALICE)
    assert [row["state"] for row in listed(desk)] == ["cancelled", "final"]
    order(desk)
    assert desk.act(powers.accept_ready) == 1


def schedule(desk: Desk, act: str, caller: str) -> str:
    """Somebody has scheduled an act of the authority on itself; its id."""
    told: dict[str, Any] = {"contract": "authority", "event": "OperationScheduled", "nonce": 1, "schedule": START}
    operation = "0x" + caller[2:4] * 32
    desk.chain("role", **told, operationId=operation, caller=caller, target=DEPLOYMENT.authority, data=act)
    return act_id_of(act)


def test_an_act_of_the_authority_is_cancelled_in_the_name_of_who_scheduled_it(desk: Desk) -> None:
    act_id = schedule(desk, AUTHORITY.call("setTargetAdminDelay", ALICE, 0), BOB)
    desk.act(powers.cancel, act_id=act_id, case="c-1")
    order = Intent(id=1, kind="cancel", subject="case:c-1", payload=desk.intents("cancel")[0])
    target, data = calls.encode(DEPLOYMENT, order)
    assert AUTHORITY.decode_call(data)[1]["caller"] == checksum(BOB)
    assert records(desk, "power.cancel")[0]["caller"] == BOB
    assert calls.describe(DEPLOYMENT, target, data) == ("cancel", order.payload | {"caller": checksum(BOB)})


def test_an_act_of_the_authority_is_accepted_only_by_who_scheduled_it(desk: Desk) -> None:
    act_id = schedule(desk, AUTHORITY.call("setTargetAdminDelay", ALICE, 0), BOB)
    desk.pass_time()
    with pytest.raises(Refused, match=BOB):
        desk.act(powers.take_up, act_id=act_id, case="c-1", admin=ALICE)
    assert desk.act(powers.take_up, act_id=act_id, case="c-2", admin=BOB)["state"] == "accepting"
