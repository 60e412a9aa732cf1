"""What a holder does with a wallet of a local keystore: pay with a memo, and redeem.

Signing and sending are two acts, so that the signed bytes can be kept in between: sent again, they still act once.
"""

from issuer.chain import fees, rpc
from issuer.chain.deployment import Deployment
from issuer.chain.node import Node
from issuer.chain.rpc import Call
from issuer.chain.signer import Signed, Signer
from issuer.errors import Conflict, Refused, Unreachable
from issuer.messages import contracts
from issuer.messages.abi import ZERO_HASH
from issuer.messages.contracts import TOKEN
from issuer.messages.transactions import decode

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

    Raises Conflict if they were never mined and never can be, since the wallet has used their nonce, or Unreachable.
    """
    reason, signed = rpc.broadcast(node, raw), decode(raw)
    if reason is None or rpc.knows(node, signed.hash):
        return
    if rpc.nonce(node, signed.sender) > signed.nonce:
        raise Conflict(
            f"{signed.sender} has sent another transaction in the place of {signed.hash}",
            "That one was never mined: ask again under a new key.",
        )
    raise Unreachable(f"the node did not take the transaction: {reason}", "Check the wallet's gas money.")


def _sign(node: Node, signer: Signer, deployment: Deployment, data: str) -> Signed:
    head = rpc.head(node)
    call = Call(sender=signer.address, target=deployment.token, data=data)
    (result,) = rpc.simulate(node, [call], head.number)
    if not result.succeeded:
        error, arguments = contracts.decode_error(result.data)
        do = _REMEDIES.get(error, "`issuer status` shows what is stopped, `issuer wallet list` who is verified.")
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
