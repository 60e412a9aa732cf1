"""What the world does by itself, well and badly: blocks, the bank's work, and everything that goes wrong.

Each event says what it did, or None if it had nothing to do.
"""

from typing import Any

from issuer.chain.keystore import Job
from issuer.errors import IssuerError
from issuer.messages import contracts
from issuer.messages import folder as documents
from issuer.messages.camt import Side
from issuer.messages.folder import BANK_TO_ISSUER
from issuer.mockbank import books, notices
from issuer.mockbank.bank import OPERATING
from issuer.mockbank.books import Payment
from issuer.mockbank.database import next_number
from tests.simulation.chain import FINALITY
from tests.simulation.people import any_of, pay_in, submit
from tests.simulation.stage import COLLECTION, HOLDERS, RESERVE, STRANGER
from tests.simulation.world import BLOCK_TIME, Crashed, World

_GWEI = 10**9

# -- the chain


def mine(world: World) -> str:
    """Some blocks, which need not take everything that waits."""
    count, willing = world.random.choice((1, 1, 2, 3, 5)), world.random.choice((1, 1, 1, 0.5))
    for _ in range(count):
        world.advance(BLOCK_TIME)
        _block(world, willing)
    return f"{count} blocks to {world.chain.head.number}"


def reorganise(world: World) -> str | None:
    """Other blocks in the place of the newest, none of them final."""
    return _reorganise(world, world.random.randint(1, FINALITY), "reorganisation")


def break_finality(world: World) -> str | None:
    """Other blocks in the place of final ones that the issuer has acted on: it must stop, and the run ends."""
    depth = world.random.randint(FINALITY + 1, FINALITY + 4)
    ancestor = world.chain.head.number - depth
    if ancestor < world.chain.base or world.records.final_block() <= ancestor or world.records.recovering():
        return None
    world.watch.excuses.broken = True
    return _reorganise(world, depth, "broken finality")


def drop(world: World) -> str | None:
    """The pool forgets a transaction."""
    key = any_of(world, sorted(world.chain.pool))
    if key is None:
        return None
    world.meet("transaction dropped")
    del world.chain.pool[key]
    return f"transaction {key[1]} of {world.watch.keys.get(key[0], key[0][:8])}"


def change_fees(world: World) -> str:
    world.chain.next_base_fee = world.random.choice((1, 1, 7, 60, 400, 900)) * _GWEI
    world.chain.tip = world.random.choice((1, 2, 30)) * _GWEI
    if world.chain.next_base_fee > 100 * _GWEI:
        world.meet("fees risen")
    return f"{world.chain.next_base_fee // _GWEI} and {world.chain.tip // _GWEI} gwei"


def drain(world: World) -> str | None:
    """A key has next to no gas money left."""
    address = world.stage.keys.address(world.random.choice((Job.SENDER, Job.REGISTRAR)))
    world.meet("gas money gone")
    world.chain.fund(address, world.random.randint(1, 10**14))
    return f"the {world.watch.keys[address]} key is poor"


def steal(world: World) -> str | None:
    """Somebody else signs with a key of the issuer, at a nonce that may be in use."""
    signer = world.stage.keys.signer(world.random.choice((Job.SENDER, Job.SENDER, Job.REGISTRAR)))
    nonce = world.chain.account(signer.address).nonce
    world.watch.excuses.stolen_nonces.add((signer.address, nonce))
    world.meet("nonce stolen")
    submit(world, signer, STRANGER.address, "0x", nonce=nonce, tip=500 * _GWEI)
    return f"nonce {nonce} of the {world.watch.keys[signer.address]} key"


def mint_for_oneself(world: World) -> str | None:
    """Somebody else mints with the minting key: what the gate lets through is gone, and must be noticed."""
    if world.number < 60 or not world.customers:
        return None
    signer, made = world.stage.keys.signer(Job.SENDER), world.stage.deployment
    nonce, first = world.chain.account(signer.address).nonce, world.watch.tokens.view("nextNumber")
    units = world.random.choice((10_000, 10_000_000_000))
    data = contracts.mint_call(first, "0x" + "66" * 32, [[HOLDERS[0].address, units]])
    world.watch.excuses.stolen_nonces.add((signer.address, nonce))
    world.meet("minting key stolen")
    sent = submit(world, signer, made.minter, data, nonce=nonce, tip=500 * _GWEI)
    world.watch.excuses.stolen_mints.add(sent)
    return f"{units} units at nonce {nonce}"


def _reorganise(world: World, depth: int, fault: str) -> str | None:
    if world.chain.head.number - depth < world.chain.base:
        return None
    world.meet(fault)
    lost = world.chain.retreat(depth)
    kept = [item for item in lost if world.random.random() < 0.85]
    world.chain.put_back(kept)
    for _ in range(depth + world.random.randint(0, 1)):
        world.advance(1)
        _block(world, world.random.choice((1, 0.5)))
    return f"{depth} blocks, {len(lost)} transactions of which {len(kept)} are not forgotten"


def _block(world: World, willing: float) -> None:
    when = max(world.time, world.chain.head.timestamp + 1)
    salt = world.random.randbytes(4)
    world.chain.mine(when, lambda _: world.random.random() < willing, salt=salt)


def take_over(world: World) -> str:
    """Another process takes over, which signs reports and mints with the other key."""
    world.meet("standby takes over")
    world.minting = Job.STANDBY if world.minting is Job.SENDER else Job.SENDER
    world.restart()
    return f"a process with the {world.minting} key takes over"


def sleep(world: World) -> str:
    """The issuer does not run for a while, and the world goes on."""
    count = world.random.randint(60, 90)
    for _ in range(count):
        world.advance(BLOCK_TIME)
        _block(world, 1)
    world.bank.step()
    world.auditor.step()
    world.meet("issuer down")
    return f"{count} blocks to {world.chain.head.number}"


# -- between


def node_trouble(world: World) -> str:
    """The issuer's node is in trouble for a while."""
    what: dict[str, Any] = world.random.choice(
        (
            {"silent": 0.3},
            {"silent": 1},
            {"hasty": 0.7},
            {"forgetful": 0.7},
            {"crowded": 0.3},
            {"garbled": 0.1},
            {"blind": 0.7},
            {"blind": 0.9},
            {"lag": world.random.randint(1, 8)},
            {"jitter": world.random.randint(1, 5)},
            {"narrow": 1, "lag": 2},
        )
    )
    steps = world.random.randint(1, 8)
    world.trouble(steps, **what)
    return f"{what} for {steps} steps"


def folder_trouble(world: World) -> str:
    """Files come late, in disorder, cut short, or the issuer's side of the folder does not answer."""
    steps = world.random.randint(1, 8)
    world.trouble(steps)
    kind = world.random.choice(("late", "late", "cut short", "silent"))
    if kind == "late":
        world.delayed = 0.6
    elif kind == "cut short":
        world.damaged = 0.4
    else:
        world.folder.silent = 0.2
    return f"{kind} for {steps} steps"


def send_again(world: World) -> str | None:
    """The bank gives the issuer whole the files that were cut short."""
    if not world.post.cut:
        return None
    world.post.cut.clear()
    return "the bank sends again what was cut short"


def repeat_notice(world: World) -> str | None:
    """The bank tells entries again, in a notice of another number."""
    names = [name for name in world.post.files.get(BANK_TO_ISSUER, {}) if documents.notice_of(name) is not None]
    name = any_of(world, names)
    if name is None:
        return None
    world.meet("notice repeated")
    world.post.repeat(name)
    return name


def jump(world: World) -> str:
    """Hours or days go by at once."""
    seconds = world.random.choice((3600, 13 * 3600, 25 * 3600, 3 * 86400))
    world.meet("clock jumps")
    world.advance(seconds)
    _block(world, 1)
    return f"{seconds} seconds"


def set_clock(world: World) -> str:
    """The issuer's own clock is set forward or back, or right again."""
    world.skew = world.random.choice((0, 0, -3600, -30, 30, 3600))
    if world.skew:
        world.meet("clock wrong")
    world.advance(0)
    return f"{world.skew} seconds off"


# -- the bank


def work(world: World) -> str:
    """Bank and auditor do what lies before them, and may die over it."""
    told = []
    for name in world.random.choice((("bank",), ("auditor",), ("bank", "auditor"), ("bank", "auditor"))):
        try:
            with world.crashing(0.3):
                told.append(f"{name} {getattr(world, name).step()}")
        except Crashed as crashed:
            world.meet(f"bank crash {crashed}")
            world.reopen(name)
            told.append(f"{name} dies")
    return ", ".join(told)


def wire_under_another_name(world: World) -> str | None:
    customer = any_of(world, world.customers)
    if customer is None:
        return None
    world.meet("wrong name")
    return pay_in(world, customer.account, "Somebody Else", 5_000_00)


def wire_from_a_stranger(world: World) -> str | None:
    world.meet("unknown sender")
    return pay_in(world, f"37700000000{world.random.randint(1, 3)}", "A Stranger", 7_000_00)


def wire_under_an_order(world: World) -> str | None:
    """Somebody pays in under the id of an order of the issuer's, which they may have seen on a statement."""
    message_id = any_of(world, sorted(world.watch.orders))
    payer = any_of(world, [*((item.account, item.name) for item in world.customers), ("377000000009", "A Forger")])
    if message_id is None or payer is None:
        return None
    account, name = payer
    order = world.watch.orders[message_id]
    fen = world.random.choice((order.amount_fen, 3_333_00))
    if account == order.creditor_account and fen == order.amount_fen:
        fen += 1  # the whole sum from the account it went to is a return, whoever sends it
    if (told := _wire(world, account, name, fen, message_id)) is not None:
        world.meet("order's id used")
    return told


def wire_without_a_sender(world: World) -> str | None:
    """The bank does not tell where money came from."""
    world.meet("sender not told")
    nobody = "INSERT INTO account (number, name, role, covered) VALUES ('', '', 'customer', 1) ON CONFLICT DO NOTHING"
    world.banks_books.execute(nobody)
    return _wire(world, "", world.random.choice(("", "Somebody")), 4_000_00)


def _wire(world: World, account: str, name: str, fen: int, end_to_end_id: str | None = None) -> str | None:
    payment = Payment(
        debtor=account,
        debtor_name=name,
        creditor=COLLECTION,
        creditor_name="Collection",
        amount_fen=fen,
        end_to_end_id=end_to_end_id,
    )
    with world.bank._unit("bank.wire") as (connection, now):
        held = books.find(connection, account)
        if held is not None and held.closed:
            return None
        if held is None:
            books.open_account(connection, account, name, covered=True)
        notices.announce(connection, books.book(connection, payment, now), now)
    world.bank._write()
    return f"{fen} fen from {account or 'nobody'} under {end_to_end_id}"


def recall(world: World) -> str | None:
    wire = any_of(world, world.watch.bank.wires())
    if wire is None:
        return None
    try:
        world.bank.recall(wire.reference)
    except IssuerError:
        return None
    world.meet("wire recalled")
    return f"{wire.reference} of {wire.amount} fen, by {wire.account}"


def give_back(world: World) -> str | None:
    """A payout comes back."""
    standing = [name for name in world.watch.orders if world.watch.bank.standing(name) == "booked"]
    message_id = any_of(world, standing)
    if message_id is None:
        return None
    try:
        world.bank.give_back(end_to_end_id=message_id)
    except IssuerError:
        return None
    world.meet("payout returned")
    return message_id


def close_account(world: World) -> str | None:
    customer = any_of(world, world.customers)
    if customer is None or books.find(world.banks_books, customer.account) is None:
        return None
    world.meet("account closed")
    world.bank.close_account(customer.account)
    return customer.account


def reopen_accounts(world: World) -> str | None:
    if not world.banks_books.execute("UPDATE account SET closed = 0 WHERE closed = 1").rowcount:
        return None
    return "all"


def take_a_fee(world: World) -> str | None:
    """The bank takes money from the reserve that nobody has ordered to be moved."""
    fen = 5_00
    if world.watch.bank.money().reserve < fen:
        return None
    world.meet("reserve debited")
    world.watch.excuses.taken += fen
    _book(world, RESERVE, OPERATING, fen)
    return f"{fen} fen"


def give_the_fee_back(world: World) -> str | None:
    fen = world.watch.excuses.taken
    if not fen:
        return None
    world.watch.excuses.taken = 0
    _book(world, OPERATING, RESERVE, fen)
    return f"{fen} fen"


def overdraw(world: World) -> str | None:
    """The bank takes more out of the collection account than there is in it, and tells of it."""
    held = world.watch.bank.money().collection
    if held < 0:
        return None
    fen = held + world.random.choice((1, 5_00))
    world.meet("collection overdrawn")
    world.watch.excuses.seized += fen
    payment = _fee(COLLECTION, OPERATING, fen)
    connection = world.banks_books
    connection.execute("PRAGMA ignore_check_constraints = ON")  # the bank's program never leaves an account so
    with world.bank._unit("bank.overdraft") as (connection, now):
        reference = f"BK{next_number(connection, 'booking'):010d}"
        for number, change, side in ((COLLECTION, -fen, Side.DEBIT), (OPERATING, fen, Side.CREDIT)):
            books._enter(connection, payment, reference, number, change, side, now, reversal=False)
        notices.announce(connection, reference, now)
    world.bank._write()
    return f"{fen} fen of {held}"


def draw_statements(world: World) -> str:
    world.bank.statement()
    return "up to now"


def _book(world: World, debtor: str, creditor: str, fen: int) -> None:
    payment = _fee(debtor, creditor, fen)
    with world.bank._unit("bank.fee") as (connection, now):
        notices.announce(connection, books.book(connection, payment, now), now)
    world.bank._write()


def _fee(debtor: str, creditor: str, fen: int) -> Payment:
    return Payment(
        debtor=debtor, debtor_name="Issuer", creditor=creditor, creditor_name="Issuer", amount_fen=fen, text="fee"
    )
