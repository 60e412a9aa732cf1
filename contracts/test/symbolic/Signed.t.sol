// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Symbolic, vm} from "./Symbolic.sol";

/// @dev In every state, nothing that anybody submits does anything to a holder who did not sign exactly that. Recovering a
/// signer is some function of digest and signature, of which nothing is known; the holder is no contract, which would answer
/// for itself.
contract SignedProof is Symbolic {
    struct Signature {
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    struct Move {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    struct Seen {
        uint256 held;
        uint256 supply;
        uint256 redeemed;
        uint256 allowance;
        bool used;
    }

    function check_a_transfer_needs_the_signature(
        address caller,
        address holder,
        Move calldata move,
        Signature calldata signature
    ) external {
        bytes32 fields = _fields(token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), move);
        Seen memory before = _unsigned(holder, move.from, move.to, move.nonce, fields, signature);
        vm.prank(caller);
        token.transferWithAuthorization(
            move.from,
            move.to,
            move.value,
            move.validAfter,
            move.validBefore,
            move.nonce,
            signature.v,
            signature.r,
            signature.s
        );
        _assertKept(before, holder, move.to, move.nonce);
    }

    function check_a_receipt_needs_the_signature(address holder, Move calldata move, Signature calldata signature)
        external
    {
        bytes32 fields = _fields(token.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(), move);
        Seen memory before = _unsigned(holder, move.from, move.to, move.nonce, fields, signature);
        vm.prank(move.to);
        token.receiveWithAuthorization(
            move.from,
            move.to,
            move.value,
            move.validAfter,
            move.validBefore,
            move.nonce,
            signature.v,
            signature.r,
            signature.s
        );
        _assertKept(before, holder, move.to, move.nonce);
    }

    function check_a_redemption_needs_the_signature(
        address caller,
        address holder,
        Move calldata move,
        bytes32 instruction,
        Signature calldata signature
    ) external {
        bytes32 fields = keccak256(
            abi.encode(
                token.REDEEM_WITH_AUTHORIZATION_TYPEHASH(),
                move.from,
                move.value,
                instruction,
                move.validBefore,
                move.nonce
            )
        );
        Seen memory before = _unsigned(holder, move.from, move.to, move.nonce, fields, signature);
        vm.prank(caller);
        token.redeemWithAuthorization(
            move.from,
            move.value,
            instruction,
            move.validBefore,
            move.nonce,
            abi.encodePacked(signature.r, signature.s, signature.v)
        );
        _assertKept(before, holder, move.to, move.nonce);
    }

    function check_a_cancellation_needs_the_signature(
        address caller,
        address holder,
        address authorizer,
        bytes32 nonce,
        Signature calldata signature
    ) external {
        bytes32 fields = keccak256(abi.encode(token.CANCEL_AUTHORIZATION_TYPEHASH(), authorizer, nonce));
        Seen memory before = _unsigned(holder, authorizer, caller, nonce, fields, signature);
        vm.prank(caller);
        token.cancelAuthorization(authorizer, nonce, signature.v, signature.r, signature.s);
        _assertKept(before, holder, caller, nonce);
    }

    function check_a_permit_needs_the_signature(
        address caller,
        address holder,
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        Signature calldata signature
    ) external {
        bytes32 fields = keccak256(
            abi.encode(token.PERMIT_TYPEHASH(), owner, spender, value, token.nonces(owner), deadline)
        );
        Seen memory before = _unsigned(holder, owner, spender, 0, fields, signature);
        vm.prank(caller);
        token.permit(owner, spender, value, deadline, signature.v, signature.r, signature.s);
        _assertKept(before, holder, spender, 0);
    }

    function _fields(bytes32 typehash, Move calldata move) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(typehash, move.from, move.to, move.value, move.validAfter, move.validBefore, move.nonce)
            );
    }

    /// @dev The state, in which the holder did not sign: the signer is another account, or the signature another's.
    function _unsigned(
        address holder,
        address signer,
        address other,
        bytes32 nonce,
        bytes32 fields,
        Signature calldata signature
    ) private view returns (Seen memory seen) {
        vm.assume(holder != address(0) && holder.code.length == 0);
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), fields));
        vm.assume(signer != holder || ecrecover(digest, signature.v, signature.r, signature.s) != holder);
        seen = _seen(holder, other, nonce);
        vm.assume(seen.supply + seen.redeemed < ROOM);
        vm.assume(signer == holder || token.balanceOf(signer) + seen.held <= seen.supply);
    }

    function _seen(address holder, address other, bytes32 nonce) private view returns (Seen memory) {
        return Seen({
            held: token.balanceOf(holder),
            supply: token.totalSupply(),
            redeemed: token.redeemed(),
            allowance: token.allowance(holder, other),
            used: token.authorizationState(holder, nonce)
        });
    }

    function _assertKept(Seen memory before, address holder, address other, bytes32 nonce) private view {
        Seen memory later = _seen(holder, other, nonce);
        assert(later.held >= before.held);
        assert(later.supply + later.redeemed == before.supply + before.redeemed);
        assert(later.allowance == before.allowance);
        assert(later.used == before.used);
    }
}
