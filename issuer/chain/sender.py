"""The sender: takes intents out, as transactions whose bytes are stored before they are sent.

- Before anything is signed it is simulated on top of the transactions that wait before it, all that is due together.
  What would revert is not signed: that is a fact ("refused"), and operations decide.
- What was signed is read back from its bytes and compared with the intent.
- The nonce is a row, taken in the database transaction that stores the bytes; only then are they sent.
- Stored bytes are sent in every step until their nonce is final. No answer to that changes anything.
- A transaction that waits too long is signed again at its nonce with higher fees, up to a cap, then reported. Only
  the bare transfer that an operator puts in its place passes the cap, by one rise.
- One process does a key's duty; the others stand by, and the next takes over when it falls silent. It may have a key of
  its own for that: then it signs nothing before all that the other key has signed is mined.
"""

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection

from issuer.chain import calls, fees, parts, rpc, transactions
from issuer.chain.deployment import Deployment
from issuer.chain.fees import Fees
from issuer.chain.keystore import Job
from issuer.chain.node import Node, NodeError
from issuer.chain.rpc import Block, Call, Result
from issuer.chain.signer import Keys, Signed
from issuer.chain.transactions import Key, Sent
from issuer.clock import Clock
from issuer.errors import BrokenInvariant, Conflict, InvalidInput, MalformedDocument, NotFound, Unreachable
from issuer.messages import contracts
from issuer.messages.contracts import Contract
from issuer.messages.transactions import Transaction, decode
from issuer.store import facts, intents
from issuer.store.facts import News
from issuer.store.intents import Intent
from issuer.store.states import Door, IntentState, TooLarge
from issuer.store.unit import Store

CANCEL_GAS = 21_000
"""A bare transfer."""

TRANSACTION_GAS = 2**24
"""The most that any transaction may take (EIP-7825); nodes do not keep to it when they simulate."""

CANCEL_TRIES = 3
"""Times that a cancellation is signed, each time over a form that another process has stored meanwhile."""

_RUN = secrets.token_hex(4)
"""Tells this run of the program from a later one that is given the same process number."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How the sender may spend. Fees in wei per gas, times in seconds by the clock."""

    in_flight: int = 16  # transactions of one key that wait to be mined; geth keeps so many of each account for sure
    small_gas: int = 2_000_000  # fits into every network's blocks
    block_share: int = 2  # a larger transaction takes at most one part in so many of a block's gas
    bump_after: int = 60  # how long one offer stands
    max_fee: int = 500 * 10**9  # never offered more, but by a cancellation
    alarm_every: int = 3600  # a low balance or a stuck transaction is told again


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a key's next transaction stands on."""

    key: Key
    term: int  # in which this process does the key's duty
    head: Block
    waiting: tuple[Sent, ...]  # of this key, not in the head's chain yet, by nonce
    fees: Fees
    balance: int  # wei
    promised: int  # wei of it that what waits may cost

    def after(self, draft: "Draft") -> "Ground":
        """What the transaction after this one stands on."""
        key = replace(self.key, next_nonce=self.key.next_nonce + 1)
        return replace(self, key=key, promised=self.promised + draft.gas * self.fees.max_fee)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A call that would succeed."""

    intent: Intent
    target: str
    data: str
    gas: int


@dataclass(frozen=True, kw_only=True)
class Form:
    """A call that is signed: its bytes, and what they say."""

    intent: Intent
    says: Transaction
    raw: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a call cannot be made, or would revert."""

    error: str
    arguments: Sequence[object]


class Sender:
    def __init__(
        self,
        store: Store,
        node: Node,
        signers: Keys,
        deployment: Deployment,
        clock: Clock,
        limits: Limits | None = None,
        *,
        minting: Job = Job.SENDER,
    ) -> None:
        """``minting`` is the key that signs reports and mints here: the sender's, or the standby's."""
        self._store = store
        self._node = node
        self._signers = signers
        self._deployment = deployment
        self._clock = clock
        self._limits = limits or Limits()
        self._minting = minting
        self._name = f"{socket.gethostname()}:{os.getpid()}:{_RUN}"

    @property
    def in_flight(self) -> int:
        """How many transactions of one key may wait to be mined."""
        return self._limits.in_flight

    def send(self) -> int:
        """Sign and send what is due, and send again what waits; how many things were newly done.

        Raises Unreachable if the node does not answer, once every key was served; what is stored then is sent by the
        next step.
        """
        # What was signed earlier goes first: nothing after it can be mined without it.
        done = self._repeat()
        with self._store.read() as connection:
            due = _due(connection)
            self._deployment = parts.current(connection, self._deployment)
        silent: list[Unreachable] = []
        for job, wanted in self._by_key(due).items():
            try:
                done += self._serve(job, wanted)
            except Unreachable as error:
                silent.append(error)
        if silent:
            raise silent[0]
        return done

    def cancel(self, transaction_id: int) -> str:
        """Put a bare transfer to itself in the place of a transaction that is stuck; its hash.

        An operator's act, and so its fee may pass the cap, by one rise. A cancellation that is stored already is only
        sent again. Raises NotFound, or Conflict if the fee rises again and again meanwhile.
        """
        for _ in range(CANCEL_TRIES - 1):
            with suppress(Conflict):
                return self._cancel(transaction_id)
        return self._cancel(transaction_id)

    def _cancel(self, transaction_id: int) -> str:
        sent = next((item for item in self._live() if item.id == transaction_id), None)
        if sent is None:
            what = f"transaction {transaction_id} does not wait: it has ended, or there was none"
            raise NotFound(what, "See what waits with `issuer transaction list`.")
        if sent.newest.cancels:
            rpc.broadcast(self._node, sent.newest.raw)
            return sent.newest.hash
        offered = self._offered(sent).bumped(self._suggest())
        fields = _fields(self._deployment.chain_id, sent.nonce, sent.signer, "0x", CANCEL_GAS, offered)
        signed = self._signers.signer(sent.role).sign_transaction(fields)
        with self._store.unit("store a cancellation") as unit:
            transactions.seize(unit, sent.role, self._name)
            transactions.outbid(unit, sent, decode(signed.raw), signed.raw, cancels=True)
        rpc.broadcast(self._node, signed.raw)
        return signed.hash

    # -- new transactions

    def _by_key(self, due: Sequence[Intent]) -> dict[Job, list[Intent]]:
        """The intents that keys of this home sign."""
        found: dict[Job, list[Intent]] = {}
        for intent in due:
            own = intent.kind != calls.FENCE and calls.job(intent) is Job.SENDER
            found.setdefault(self._minting if own else calls.job(intent), []).append(intent)
        return {job: wanted for job, wanted in found.items() if self._signers.has(job)}

    def _serve(self, job: Job, wanted: Sequence[Intent]) -> int:
        """Send one key's intents in order, as far as its limits allow."""
        done = 0
        while done < len(wanted):
            ground = self._ground(job)
            room = 0 if ground is None else self._limits.in_flight - len(ground.waiting)
            settled = 0 if ground is None or room <= 0 else self._advance(ground, wanted[done : done + room])
            if not settled:
                break
            done += settled
        return done

    def _advance(self, ground: Ground, wanted: Sequence[Intent]) -> int:
        """Send intents up to the first that would revert, which is then a fact; how many are settled so.

        Only the first ones when the key cannot pay for all, and none when another process was faster.
        """
        forms: list[Form] = []
        refusal: tuple[Intent, Refusal] | None = None
        following = ground
        for intent, outcome in self._drafts(ground, wanted):
            if isinstance(outcome, Refusal):
                refusal = intent, outcome
                break
            if not self._affords(following, outcome):
                break
            forms.append(self._sign(following, outcome))
            following = following.after(outcome)
        settled = 0
        try:
            settled += self._take(ground, forms)
            if refusal is not None:
                self._refuse(ground, *refusal)
                settled += 1
        except Conflict:
            pass
        return settled

    def _hold(self, job: Job) -> int | None:
        """The term in which this process does a key's duty, or None while another one does."""
        with self._store.read() as connection:
            held = transactions.term(connection, job, self._name)
        if held is None:
            with self._store.unit("take a duty") as unit:
                held = transactions.hold(unit, job, self._name)
        return held

    def _ground(self, job: Job) -> Ground | None:
        """Where a key stands; None while another process does its duty or has left something of it unmined, while the
        key is halted, while it counts other than the chain, or while the node is behind what is final: what it would
        say of a call is then older than the facts.
        """
        key = self._key(job)
        head = rpc.head(self._node)
        if head.number < self._final():
            return None
        # Before the duty is taken: the other key's process must have it to raise a fee.
        if key.halted is not None or self._follows(key, self._live(), head):
            return None
        term = self._hold(job)
        if term is None:
            return None
        key, live = self._key(job), self._live()
        mined = rpc.nonce(self._node, key.address, head.number)
        if key.halted is not None or mined > key.next_nonce or self._follows(key, live, head):
            return None
        waiting = tuple(item for item in live if item.signer == key.address and item.nonce >= mined)
        if len(waiting) != key.next_nonce - mined:
            return None  # nonces that are free on chain and used here: an outcome is still to be told
        balance = rpc.balance(self._node, key.address, head.number)
        promised = sum(item.gas * item.newest.max_fee for item in waiting)
        return Ground(
            key=key, term=term, head=head, waiting=waiting, fees=self._suggest(), balance=balance, promised=promised
        )

    def _final(self) -> int:
        with self._store.read() as connection:
            return transactions.final(connection).number

    def _follows(self, key: Key, live: Sequence[Sent], head: Block) -> bool:
        """Whether something waits to be mined that another key signed for the same duty: nothing may overtake it."""
        others = {
            sent.signer: sent.nonce for sent in live if sent.role is not key.role and sent.role.duty is key.role.duty
        }
        return any(rpc.nonce(self._node, signer, head.number) <= last for signer, last in others.items())

    def _key(self, job: Job) -> Key:
        with self._store.read() as connection:
            found = transactions.key(connection, job)
        if found is not None:
            return found
        address = self._signers.address(job)
        nonce = rpc.nonce(self._node, address)
        with self._store.unit("register a key") as unit:
            transactions.register(unit, address=address, role=job, nonce=nonce)
            found = transactions.key(unit.connection, job)
        assert found is not None  # noqa: S101 - written in this unit
        return found

    def _drafts(self, ground: Ground, wanted: Sequence[Intent]) -> Iterator[tuple[Intent, Draft | Refusal]]:
        """The calls that intents ask for, each simulated after those before it, up to the first that is refused.

        Those that find no room in the simulation are left for a later step.
        """
        made, malformed = self._encode(ground, wanted)
        results = self._simulate(ground, made)
        for intent, call, result in zip(wanted, made, results, strict=False):
            outcome = self._judge(ground, intent, call, result)
            yield intent, outcome
            if isinstance(outcome, Refusal):
                return
        if malformed is not None and len(results) == len(made):
            yield wanted[len(made)], malformed

    def _encode(self, ground: Ground, wanted: Sequence[Intent]) -> tuple[list[Call], Refusal | None]:
        """The calls of intents up to the first that makes none, and what is wrong with that one."""
        made: list[Call] = []
        first = self._next_number(ground) if any(intent.kind == "mint" for intent in wanted) else 0
        if first is None:
            return made, None
        for intent in wanted:
            try:
                target, data = calls.encode(self._deployment, intent, first=first)
            except InvalidInput as error:
                return made, Refusal(error="InvalidInput", arguments=[error.what])
            made.append(Call(sender=ground.key.address, target=target, data=data))
            first += len(intent.payload["orders"]) if intent.kind == "mint" else 0
        return made, None

    def _judge(self, ground: Ground, intent: Intent, call: Call, result: Result) -> Draft | Refusal:
        """What comes of a call that was simulated."""
        if not result.succeeded:
            return self._refusal(ground, result.data)
        # What is not used is not paid for. Gas that is refunded, a fifth at most (EIP-3529), is needed first.
        gas = result.gas_used * 4 // 3 + 30_000
        most = self._most_gas(gas)
        if gas > most:
            return Refusal(error=TooLarge.GAS, arguments=[gas, most])
        return Draft(intent=intent, target=call.target, data=call.data, gas=gas)

    def _refusal(self, ground: Ground, data: str) -> Refusal:
        """The contract's error, and whether a minting limit is only used up or could never hold the sum."""
        error, arguments = contracts.decode_error(data)
        if error == "OverLimit":
            key, asked = arguments["key"], arguments["asked"]
            call = contracts.MINTER.call("bucketOf", key)
            bucket = rpc.read(self._node, self._deployment.minter, call, ground.head.number)
            capacity = _output(contracts.MINTER, "bucketOf", bucket)["capacity"]
            # No smaller mint goes through a limit that is closed either.
            if 0 < capacity < asked:
                return Refusal(error=TooLarge.CAPACITY, arguments=[key, capacity, asked])
        return Refusal(error=error, arguments=list(arguments.values()))

    def _most_gas(self, gas: int) -> int:
        """How much one transaction may take of a block; not asked of the node for what fits into any."""
        if gas <= self._limits.small_gas:
            return gas
        return min(rpc.gas_limit(self._node) // self._limits.block_share, TRANSACTION_GAS)

    def _next_number(self, ground: Ground) -> int | None:
        """The number of the next order minted; None while there is no room to ask for it."""
        call = contracts.TOKEN.call("nextNumber")
        results = self._simulate(ground, [Call(sender=ground.key.address, target=self._deployment.token, data=call)])
        if not results:
            return None
        if not results[0].succeeded:
            raise Unreachable("the node cannot read the token's next number")
        return int(_output(contracts.TOKEN, "nextNumber", results[0].data)["0"])

    def _simulate(self, ground: Ground, following: Sequence[Call]) -> list[Result]:
        """What calls do on the head one after another, after the key's waiting transactions, as far as there is room.

        A node simulates them in one block, whose gas they share (go-ethereum internal/ethapi/simulate.go). What has no
        room beside what waits has it once that is mined. Raises NodeError if the node refuses a call by itself.
        """
        before = [
            Call(sender=item.signer, target=item.target, data=item.data, gas=item.gas)
            for item in ground.waiting
            if not item.newest.cancels
        ]
        while following:
            try:
                results = rpc.simulate(self._node, [*before, *following], ground.head.number)
            except NodeError:
                if not before and len(following) == 1:
                    raise
                following = following[: len(following) // 2]
            else:
                return _with_room(results)[len(before) :]
        return []

    def _refuse(self, ground: Ground, intent: Intent, refusal: Refusal) -> None:
        told = {"intent_id": intent.id, "kind": intent.kind, "subject": intent.subject}
        key = f"refused:{intent.id}:{self._clock.now()}"
        news = News(key=key, kind="refused", payload=told | vars(refusal))
        with self._store.unit("tell a refusal") as unit:
            transactions.require(unit, ground.key.role, ground.term)
            if intents.move(unit, intent.id, IntentState.OPEN, IntentState.BOUND):
                facts.bring(unit, Door.CHAIN, [news])

    def _affords(self, ground: Ground, draft: Draft) -> bool:
        """Whether the key can pay for this and for all that waits before it; if not, that is a fact."""
        needed = ground.promised + draft.gas * ground.fees.max_fee
        if ground.balance >= needed:
            return True
        self._poor(ground.key.role, ground.key.address, ground.key.next_nonce, ground.balance, needed)
        return False

    def _sign(self, ground: Ground, draft: Draft) -> Form:
        """Sign a call at the key's next nonce, and compare the bytes with what was meant."""
        key = ground.key
        fields = _fields(self._deployment.chain_id, key.next_nonce, draft.target, draft.data, draft.gas, ground.fees)
        signed = self._signers.signer(key.role).sign_transaction(fields)
        says = self._compare(signed, draft.intent, nonce=key.next_nonce, sender=key.address)
        return Form(intent=draft.intent, says=says, raw=signed.raw)

    def _take(self, ground: Ground, forms: Sequence[Form]) -> int:
        """Store what was signed, all of it at once, and only then send it; how many.

        Raises Conflict, and nothing of it is stored, if another process was faster.
        """
        if not forms:
            return 0
        with self._store.unit("store signed bytes") as unit:
            for form in forms:
                transactions.store(unit, form.intent, form.says, form.raw, ground.key.role, ground.term)
        for form in forms:
            rpc.broadcast(self._node, form.raw)
        return len(forms)

    def _compare(self, signed: Signed, intent: Intent, *, nonce: int, sender: str) -> Transaction:
        """The transaction as its bytes say it. Raises BrokenInvariant if they say other than the intent (R-40)."""
        found = decode(signed.raw)
        meant = (self._deployment.chain_id, nonce, sender, 0, signed.hash, (intent.kind, intent.payload))
        says = calls.describe(self._deployment, found.target, found.data)
        if (found.chain_id, found.nonce, found.sender, found.value, found.hash, says) != meant:
            raise BrokenInvariant(f"the bytes signed for intent {intent.id} do not say what it says")
        return found

    # -- what waits

    def _repeat(self) -> int:
        """Send stored bytes that are not seen mined, with a higher fee if their time is over; how many fees rose."""
        waiting = [sent for sent in self._live() if sent.mined_block is None]
        held = {job: self._hold(job) for job in {sent.role: None for sent in waiting} if self._signers.has(job)}
        return sum(
            self._send_again(sent, term) if (term := held.get(sent.role)) is not None else self._pass_on(sent)
            for sent in waiting
        )

    def _send_again(self, sent: Sent, term: int) -> int:
        if self._age(sent) < self._limits.bump_after:
            rpc.broadcast(self._node, sent.newest.raw)
            return 0
        try:
            return self._bump(sent, term)
        except Conflict:
            return 0

    def _pass_on(self, sent: Sent) -> int:
        """Send what another process signed; if that one does not raise the fee when it should, say so."""
        rpc.broadcast(self._node, sent.newest.raw)
        if self._age(sent) >= 2 * self._limits.bump_after and not self._is_last_offer(sent):
            self._stuck(sent, f"no process with the {sent.role} key raises its fee")
        return 0

    def _age(self, sent: Sent) -> int:
        """Seconds for which the newest offer stands, by a clock that may be set back."""
        return abs(self._clock.now() - sent.newest.at)

    def _bump(self, sent: Sent, term: int) -> int:
        """Sign the same call at the same nonce for more, or let the offer stand if more is not to be offered."""
        form, offered = decode(sent.newest.raw), self._offered(sent).bumped(self._suggest())
        if not self._may_offer(sent, form.gas, offered):
            rpc.broadcast(self._node, sent.newest.raw)
            return 0
        fields = _fields(form.chain_id, form.nonce, form.target, form.data, form.gas, offered)
        signed = self._signers.signer(sent.role).sign_transaction(fields)
        with self._store.unit("store raised bytes") as unit:
            transactions.require(unit, sent.role, term)
            transactions.outbid(unit, sent, decode(signed.raw), signed.raw, cancels=sent.newest.cancels)
        rpc.broadcast(self._node, signed.raw)
        return 1

    def _may_offer(self, sent: Sent, gas: int, offered: Fees) -> bool:
        """Whether the key has the money and the cap is not passed, but by a cancellation once; if not, that is a fact.

        A higher fee would not help what waits for the money of its key: it would take more of it.
        """
        last = self._is_last_offer(sent)
        balance = rpc.balance(self._node, sent.signer)
        needed = gas * (sent.newest.max_fee if last else offered.max_fee)
        if balance < needed:
            self._poor(sent.role, sent.signer, sent.nonce, balance, needed)
            return False
        if offered.max_fee > self._limits.max_fee and not sent.newest.cancels:
            self._stuck(sent, "its fee is at the cap")
            return False
        return not last

    def _is_last_offer(self, sent: Sent) -> bool:
        """Whether it is a cancellation past the cap: nobody can do more about it, and so nobody is told."""
        return sent.newest.cancels and sent.newest.max_fee > self._limits.max_fee

    def _offered(self, sent: Sent) -> Fees:
        return Fees(max_fee=sent.newest.max_fee, priority_fee=sent.newest.priority_fee)

    def _poor(self, role: Job, address: str, nonce: int, balance: int, needed: int) -> None:
        payload = {"role": role, "address": address, "balance": balance, "needed": needed}
        self._alarm("low-gas", f"{address}:{nonce}", payload)

    def _stuck(self, sent: Sent, why: str) -> None:
        payload = {"intent_id": sent.intent_id, "kind": sent.kind, "subject": sent.subject, "why": why}
        self._alarm("stuck", str(sent.id), payload | {"transaction_id": sent.id, "hash": sent.newest.hash})

    def _alarm(self, kind: str, subject: str, payload: dict[str, object]) -> None:
        period = self._clock.now() // self._limits.alarm_every
        with self._store.unit(f"tell {kind}") as unit:
            facts.bring(unit, Door.CHAIN, [News(key=f"{kind}:{subject}:{period}", kind=kind, payload=payload)])

    def _live(self) -> list[Sent]:
        with self._store.read() as connection:
            return transactions.live(connection)

    def _suggest(self) -> Fees:
        return fees.suggest(self._node, self._limits.max_fee)


def _output(contract: Contract, function: str, data: str) -> dict[str, Any]:
    """What a function returned. Raises Unreachable if it cannot have returned that: then the node made it up."""
    try:
        return contract.output(function, data)
    except MalformedDocument as error:
        raise Unreachable(f"the node answers {function} with what is no answer to it: {error.what}") from error


def _due(connection: Connection) -> list[Intent]:
    """What is due, of every duty: many that wait for one key that is halted or poor hold up no other key's."""
    found = intents.due(connection, Door.CHAIN)
    if len(found) < intents.MOST:
        return found
    return [item for kinds in calls.DUTIES for item in intents.due(connection, Door.CHAIN, kinds)]


def _with_room(results: Sequence[Result]) -> list[Result]:
    """The results up to the first that may only have lacked gas: it gives no reason, and others have used some."""
    return [*results[:1], *takewhile(lambda result: result.succeeded or result.data != "0x", results[1:])]


def _fields(chain_id: int, nonce: int, target: str, data: str, gas: int, offered: Fees) -> dict[str, object]:
    return {
        "chainId": chain_id,
        "nonce": nonce,
        "to": target,
        "value": 0,
        "data": data,
        "gas": gas,
        "maxFeePerGas": offered.max_fee,
        "maxPriorityFeePerGas": offered.priority_fee,
    }
