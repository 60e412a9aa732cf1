"""What people do: customers, holders, operators. Each event says what it did, or None if it had nothing to do."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from issuer.chain import outcomes, transactions
from issuer.chain.anvil import CHAIN_ID
from issuer.chain.signer import LocalSigner
from issuer.errors import IssuerError, Refused
from issuer.messages import contracts
from issuer.messages.contracts import TOKEN
from issuer.operations import customers, deposits, locks, mints, powers, redemptions, wallets
from issuer.operations.redemptions import DEFAULT_INSTRUCTION
from tests.anvil import ETHER
from tests.simulation.invariants import Customer
from tests.simulation.stage import HOLDERS, STRANGER
from tests.simulation.world import World

UNKNOWN_INSTRUCTION = "0x" + "01" * 32
_AMOUNTS = (1_00, 10_000_00, 12_345_67, 50_000_00, 250_000_00)  # fen; the last needs a second person to mint
T = TypeVar("T")

LASTING = ("unknown-mint", "broken-finality")
"""Locks whose cause nobody in a run can settle."""
_MOST_CUSTOMERS = 4
_STOP_MINT = 2

# -- customers


def register(world: World) -> str | None:
    """A new customer, or another wallet of one."""
    number = len(world.customers)
    if number < _MOST_CUSTOMERS:
        name, account = f"Platform {'ABCD'[number]}", f"38800000000{number + 1}"
        added = world.ask(customers.add, name=name, jurisdiction="HK", bank_account=account)
        customer = Customer(id=added["id"], name=name, account=account, wallets=set())
        world.customers.append(customer)
        _add_wallet(world, customer, HOLDERS[number].address, standing=world.random.random() < 0.6)
        return f"{name} is a customer"
    customer = world.random.choice(world.customers)
    second = HOLDERS[_MOST_CUSTOMERS + world.customers.index(customer)].address
    if second in customer.wallets:
        return None
    _add_wallet(world, customer, second, standing=False)
    return f"{customer.name} has another wallet"


def _add_wallet(world: World, customer: Customer, address: str, *, standing: bool) -> None:
    given = world.ask(wallets.challenge, customer_id=customer.id, address=address, standing=standing)
    world.ask(wallets.register, address=address, text=given["challenge"], controlled=True)
    customer.wallets.add(address)


def wire(world: World) -> str | None:
    if not world.customers:
        return None
    customer, fen = world.random.choice(world.customers), world.random.choice(_AMOUNTS)
    return pay_in(world, customer.account, customer.name, fen)


def pay_in(world: World, account: str, name: str, fen: int) -> str | None:
    """A wire, unless the account it comes from is closed."""
    try:
        reference = world.bank.wire(account, name, fen)
    except Refused:
        return None
    return f"{name} wires {fen} fen from {account}, {reference}"


def request_mint(world: World) -> str | None:
    """An order for a wallet of a customer: for some money that came, for more, or for money that has not come."""
    if not world.customers:
        return None
    customer, fen = world.random.choice(world.customers), world.random.choice((*_AMOUNTS, 333))
    address = world.random.choice(sorted(customer.wallets))
    order = world.ask(mints.request, customer_id=customer.id, wallet=address, value=fen * 10_000)
    return f"order {order['id']} of {fen} fen for {customer.name}"


# -- holders


def transfer(world: World) -> str | None:
    holder = _holder(world)
    if holder is None:
        return None
    target = world.random.choice([wallet for item in world.customers for wallet in sorted(item.wallets)])
    units = world.random.randint(1, _balance(world, holder))
    _call(world, holder, TOKEN.call("transfer", target, units))
    return f"{holder.address[:8]} transfers {units} to {target[:8]}"


def redeem(world: World) -> str | None:
    """Burn whole fen, or everything, down to what is below a fen."""
    holder = _holder(world)
    if holder is None:
        return None
    balance = _balance(world, holder)
    units = balance
    if balance >= 10_000 and world.random.random() < 0.6:
        units = world.random.randint(1, balance // 10_000) * 10_000
    reference = UNKNOWN_INSTRUCTION if world.random.random() < 0.15 else DEFAULT_INSTRUCTION
    _call(world, holder, TOKEN.call("redeem", units, reference))
    return f"{holder.address[:8]} redeems {units}"


def _holder(world: World) -> LocalSigner | None:
    return any_of(world, [holder for holder in HOLDERS if _balance(world, holder) > 0])


def _balance(world: World, holder: LocalSigner) -> int:
    return world.watch.tokens.balances().get(holder.address, 0)


def _call(world: World, signer: LocalSigner, data: str) -> None:
    submit(world, signer, world.stage.deployment.token, data)


def submit(
    world: World, signer: LocalSigner, target: str, data: str, *, nonce: int | None = None, tip: int | None = None
) -> str:
    """Put a transaction of one's own into the pool, past the issuer's node; its hash."""
    tip = tip or world.random.choice((1, 2, 5)) * 10**9
    if nonce is None:
        nonce = world.chain.account(signer.address).nonce
        while (signer.address, nonce) in world.chain.pool:
            nonce += 1
    signed = signer.sign_transaction(
        {
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": target,
            "value": 0,
            "data": data,
            "gas": 600_000 if data != "0x" else 21_000,
            "maxFeePerGas": world.chain.next_base_fee * 3 + tip,
            "maxPriorityFeePerGas": tip,
        }
    )
    world.chain.submit(signed.raw)
    return signed.hash


# -- operators


def decide(world: World) -> str | None:
    """Approve, reject or withdraw an order that waits."""
    row = any_of(world, world.records.rows("SELECT id, state FROM mint_order WHERE state IN ('requested', 'approved')"))
    if row is None:
        return None
    if row[1] == "requested" and world.random.random() < 0.8:
        world.ask(mints.approve, actor="operator:ben", order_id=row[0])
        return f"order {row[0]} is approved"
    if row[1] == "requested":
        world.ask(mints.reject, actor="operator:ben", order_id=row[0])
        return f"order {row[0]} is rejected"
    world.ask(mints.cancel, order_id=row[0])
    return f"order {row[0]} is withdrawn"


def hesitate(world: World) -> str | None:
    """Somebody's order is written, and overtaken by others before it is committed."""
    numbers = world.stage.numbers
    if not world.customers:
        return None
    if numbers.taken is None:
        world.hesitant = world.random.choice(world.customers)
        numbers.take(world.records.next_record())
        return f"record {numbers.taken} is written for {world.hesitant.name}, and not committed yet"
    with numbers.late():
        wallet = min(world.hesitant.wallets)
        order = world.ask(mints.request, customer_id=world.hesitant.id, wallet=wallet, value=3_330_000)
    return f"order {order['id']} is committed"


def refund(world: World) -> str | None:
    row = any_of(world, world.records.rows("SELECT id FROM deposit WHERE state IN ('credited', 'held')"))
    return None if row is None else _try(world, deposits.refund, deposit_id=row[0])


def release(world: World) -> str | None:
    row = any_of(world, world.records.rows("SELECT id FROM redemption WHERE state IN ('held', 'returned')"))
    return None if row is None else _try(world, redemptions.release, redemption_id=row[0])


def clear_lock(world: World) -> str | None:
    lock = any_of(world, [lock for lock in world.records.locks() if lock[2] not in LASTING])
    if lock is None:
        return None
    world.ask(locks.clear, lock_id=lock[0])
    return f"the lock {lock[2]} on {lock[1]} is cleared"


def freeze(world: World) -> str | None:
    if not world.customers:
        return None
    address = world.random.choice(sorted(world.random.choice(world.customers).wallets))
    world.ask(powers.freeze, accounts=[address], case="c1")
    return f"{address[:8]} is to be frozen"


def unfreeze(world: World) -> str | None:
    address = any_of(world, [holder.address for holder in HOLDERS if _frozen(world, holder.address)])
    if address is None:
        return None
    act = TOKEN.call("unfreeze", address, _account(world, address)["freezeCount"])
    told = _try(world, powers.propose, contract="token", act=act, case="c1")
    return f"{address[:8]} is to be unfrozen: {told}"


def stop(world: World) -> str | None:
    world.ask(powers.stop, stops=_STOP_MINT, case="c2")
    return "minting is to be stopped on chain"


def resume(world: World) -> str | None:
    rules = _view(world, "rules")
    if not rules["stops"] & _STOP_MINT:
        return None
    act = TOKEN.call("resume", _STOP_MINT, rules["stopCount"])
    told = _try(world, powers.propose, contract="token", act=act, case="c2")
    return f"minting is to be resumed on chain: {told}"


def give_up(world: World) -> str | None:
    """Cancel a transaction that waits."""
    row = any_of(world, world.records.rows("SELECT id FROM \"transaction\" WHERE state = 'signed'"))
    if row is None:
        return None
    try:
        world.stage.open_sender(world.node).cancel(row[0])
    except IssuerError as error:
        return f"transaction {row[0]} is not given up: {error.what}"
    return f"transaction {row[0]} is given up"


def resume_key(world: World) -> str | None:
    """Let a halted key sign again, as `issuer key resume` does."""
    row = any_of(world, world.records.rows("SELECT role, address FROM signer WHERE halted IS NOT NULL"))
    if row is None:
        return None
    try:
        nonce = outcomes.final_nonce(world.stage.store, world.node, row[1])
        with world.stage.store.unit("resume a key", "operator:ann") as unit:
            transactions.resume(unit, address=row[1], nonce=nonce)
    except IssuerError:
        return None
    return f"the {row[0]} key signs again"


def back_up(world: World) -> str:
    world.stage.back_up(world.backup)
    return f"the database of {world.time}"


def restore(world: World) -> str | None:
    """The database is lost, and the last backup is put in its place."""
    if not world.backup.exists():
        return None
    world.meet("database lost")
    world.restore()
    return "the last backup"


def enter_again(world: World) -> str | None:
    """Give a restored database the name and account of a customer, which it lacks."""
    if world.service.recovery is None or not world.records.behind():
        return None
    replay = world.service.recovery.replay
    obstacle = replay.obstacle()
    if obstacle is None or obstacle.lost.record.action != "customer.added":
        return None
    customer = next(item for item in world.customers if obstacle.lost.record.subject == f"customer:{item.id}")
    replay.enter(name=customer.name, account=customer.account, actor="operator:ann")
    return f"{customer.name} is entered again"


def top_up(world: World) -> str | None:
    poor = [address for address in world.watch.keys if world.chain.account(address).balance < ETHER // 2]
    address = any_of(world, poor)
    if address is None:
        return None
    world.chain.fund(address, ETHER)
    return f"{world.watch.keys[address]} has gas money again"


def post_report(world: World) -> str | None:
    """Somebody else posts the last signed report."""
    rows = world.records.rows("SELECT payload FROM intent WHERE kind = 'report' ORDER BY id DESC LIMIT 1")
    if not rows:
        return None
    told = json.loads(rows[0][0])
    submit(world, STRANGER, world.stage.deployment.feed, contracts.post_call(told["report"], told["signatures"]))
    return f"somebody posts report {told['report']['number']}"


def tidy(world: World) -> int:
    """Operators do all that only people can do; how much that was."""
    done = 0
    if (told := enter_again(world)) is not None:
        world.say(f"       {told}")
        done += 1
    if world.records.behind():
        return done
    done += _all(world, resume_key, top_up)
    if world.records.recovering():
        return done
    done += _all(world, clear_lock, decide_well)
    for row in world.records.rows("SELECT id FROM redemption WHERE state IN ('held', 'returned')"):
        told = _try(world, redemptions.release, redemption_id=row[0])
        done += not told.startswith("refused")
    for row in world.records.rows("SELECT id FROM deposit WHERE state = 'held'"):
        told = _try(world, deposits.refund, deposit_id=row[0])
        done += not told.startswith("refused")
    if not _acts_wait(world) and (told := resume(world)) is not None:
        world.say(f"       {told}")
    return done + _acts_wait(world)


def _all(world: World, *acts: Callable[[World], str | None]) -> int:
    done = 0
    for act in acts:
        while (told := act(world)) is not None:
            world.say(f"       {told}")
            done += 1
    return done


def decide_well(world: World) -> str | None:
    row = any_of(world, world.records.rows("SELECT id FROM mint_order WHERE state = 'requested'"))
    if row is None:
        return None
    world.ask(mints.approve, actor="operator:ben", order_id=row[0])
    return f"order {row[0]} is approved"


def _acts_wait(world: World) -> bool:
    """Whether a slow act is on its way."""
    return bool(
        world.records.rows(
            "SELECT 1 FROM proposal WHERE state IN ('proposed', 'accepting')"
            " UNION ALL SELECT 1 FROM intent WHERE kind IN ('propose', 'accept') AND state IN ('open', 'bound')"
        )
    )


# -- within


def any_of(world: World, choices: Iterable[T]) -> T | None:
    """One of them, or None if there are none."""
    found = list(choices)
    return world.random.choice(found) if found else None


def _try(world: World, act: Any, /, **body: Any) -> str:
    try:
        world.ask(act, **body)
    except IssuerError as error:
        return f"refused: {error.what}"
    return f"{body}"


def _view(world: World, function: str, *arguments: Any) -> dict[str, Any]:
    result = world.chain.call(STRANGER.address, world.stage.deployment.token, TOKEN.call(function, *arguments))
    return TOKEN.output(function, result.data)


def _account(world: World, address: str) -> dict[str, Any]:
    return _view(world, "accountOf", address)


def _frozen(world: World, address: str) -> bool:
    return bool(_account(world, address)["status"] & 2)
