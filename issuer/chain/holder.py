"""What a holder does with a wallet of a local keystore: pay with a memo, and redeem.

Signing and sending are two acts, so that the signed bytes can be kept in between: sent again, they still act once.
"""

from bisect import bisect_left

from issuer.chain import fees, rpc
from issuer.chain.deployment import Deployment
from issuer.chain.node import Node
from issuer.chain.rpc import Call
from issuer.chain.signer import Signed, Signer
from issuer.errors import Conflict, Refused, Unreachable
from issuer.messages import contracts
from issuer.messages.abi import ZERO_HASH
from issuer.messages.contracts import TOKEN
from issuer.messages.transactions import Transaction, decode

MAX_FEE = 500 * 10**9  # wei per gas

_REMEDIES = {
    "ERC20InsufficientBalance": "The wallet holds less than that.",
    "FractionOfFen": "Redeem whole fen, with two decimals, or the wallet's whole balance.",
    "AccountFrozen": "A frozen account neither sends, receives nor redeems: `issuer act list` names the case.",
    "AccountNotVerified": "Only customers' registered wallets hold tokens: `issuer wallet list`.",
}


def transfer(
    node: Node, signer: Signer, deployment: Deployment, *, to: str, value: int, memo: str | None = None
) -> Signed:
    """Sign a payment of ``value`` units, with a 32-byte memo if there is one.

    Raises Refused with the contract's error, or Unreachable.
    """
    if memo is None:
        return _sign(node, signer, deployment, TOKEN.call("transfer", to, value))
    return _sign(node, signer, deployment, TOKEN.call("transferWithMemo", to, value, memo))


def redeem(node: Node, signer: Signer, deployment: Deployment, *, value: int, instruction: str = ZERO_HASH) -> Signed:
    """Sign the burning of ``value`` units, which are then owed in bank money.

    ``instruction`` names a registered payout instruction, zero the default one. Raises Refused, or Unreachable.
    """
    return _sign(node, signer, deployment, TOKEN.call("redeem", value, instruction))


def send(node: Node, raw: str) -> None:
    """Send signed bytes, for the first time or again.

    Raises Conflict if they were never mined and never can be, since a block shows another transaction of the wallet at
    their nonce, or Unreachable.
    """
    reason, signed = rpc.broadcast(node, raw), decode(raw)
    if reason is None or rpc.knows(node, signed.hash):
        return
    # A node that lags behind itself does not find what is mined: only the block tells which transaction it was.
    mined = _mined_at_nonce(node, signed)
    if mined is None:
        do = "Check the wallet's gas money, then repeat it under the same --key."
        raise Unreachable(f"the node did not take the transaction: {reason}", do)
    if mined != signed.hash:
        raise Conflict(
            f"{signed.sender} has sent another transaction in the place of {signed.hash}",
            "That one was never mined: ask again under a new key.",
        )


def _mined_at_nonce(node: Node, signed: Transaction) -> str | None:
    """The hash of the transaction that a block shows at the sender's nonce; None while none does."""
    _, found = rpc.senders(node, _first_to_count(node, signed)) or (None, [])
    return next((hash_ for sender, nonce, hash_ in found if (sender, nonce) == (signed.sender, signed.nonce)), None)


def _first_to_count(node: Node, signed: Transaction) -> int:
    """The number of the first block after which the sender's nonce is used; that of no block yet while it is not.

    From the newest block backwards in growing steps, since most nodes keep the accounts of the last blocks only.
    """

    def counts(number: int) -> bool:
        return rpc.nonce(node, signed.sender, number) > signed.nonce

    last, step = rpc.head(node).number, 1
    while step <= last and counts(last - step):
        last, step = last - step, 2 * step
    return bisect_left(range(last + 1), True, lo=max(last - step, 0), key=counts)


def _sign(node: Node, signer: Signer, deployment: Deployment, data: str) -> Signed:
    head = rpc.head(node)
    call = Call(sender=signer.address, target=deployment.token, data=data)
    (result,) = rpc.simulate(node, [call], head.number)
    if not result.succeeded:
        error, arguments = contracts.decode_error(result.data)
        do = _REMEDIES.get(error, "`issuer token show` shows what is stopped, `issuer wallet list` who is verified.")
        raise Refused(
            f"the contract refuses: {contracts.explain(error, arguments.values())}", f"Nothing was sent. {do}"
        )
    offered = fees.suggest(node, MAX_FEE)
    return signer.sign_transaction(
        {
            "chainId": deployment.chain_id,
            "nonce": rpc.nonce(node, signer.address, "pending"),
            "to": deployment.token,
            "value": 0,
            "data": data,
            "gas": result.gas_used * 3 // 2 + 30_000,
            "maxFeePerGas": offered.max_fee,
            "maxPriorityFeePerGas": offered.priority_fee,
        }
    )
