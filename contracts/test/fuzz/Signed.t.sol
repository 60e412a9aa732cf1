// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {ALL_STOPS} from "../../types/RulesWord.sol";
import {CNH} from "../support/Deployed.sol";
import {CeilingHook} from "../support/Doubles.sol";
import {Signing} from "../support/Signing.sol";
import {vm} from "../support/Vm.sol";

/// @dev What is signed does what the signer could do, and nothing else does anything.
contract SignedTest is Signing {
    string private constant BY_BYTES =
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)";

    function setUp() public override {
        super.setUp();
        endow(holder, 100 * CNH);
    }

    /// @dev A signed transfer ends as the holder's own would, error for error, whoever submits it.
    function testFuzz_a_signed_transfer_ends_as_the_holders_own(
        uint256 seed,
        address relayer,
        uint256 value,
        bytes32 nonce
    ) public {
        vm.assume(relayer != address(token));
        value = bound(value, 0, 101 * CNH);
        address to = seed & 1 == 0 ? bob : mallory;
        if (seed & 2 != 0) slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN)));
        if (seed & 12 == 12) freeze(seed & 16 == 0 ? holder : to);
        if (seed & 96 == 96) stop(uint8(1 + (seed >> 7) % ALL_STOPS));
        if (seed & 3072 == 3072) {
            CeilingHook hook = new CeilingHook(50 * CNH);
            slowly(token, abi.encodeCall(token.setHook, (address(0), address(hook))));
        }
        freeze(relayer == holder || relayer == to ? carol : relayer);

        (bool can, bytes memory reason) = token.canTransfer(holder, holder, to, value);
        bytes memory signature = moveOf(TRANSFER, to, value, nonce);
        bytes memory call = abi.encodeWithSignature(BY_BYTES, holder, to, value, 0, FOREVER, nonce, signature);
        vm.prank(relayer);
        (bool did, bytes memory outcome) = address(token).call(call);
        vm.assertTrue(can == did);
        if (!did) vm.assertEq(reason, outcome);
        vm.assertTrue(token.authorizationState(holder, nonce) == did);
    }

    /// @dev No bytes but the holder's own signature over exactly this move anything.
    function testFuzz_other_bytes_move_nothing(bytes calldata noise, uint256 key, bytes32 nonce) public {
        key = bound(key, 1, 1 << 250);
        vm.assume(key != KEY);
        bytes32 hash = digest(abi.encode(TRANSFER, holder, bob, CNH, 0, FOREVER, nonce));
        _refuses(noise, nonce);
        _refuses(signed(key, hash), nonce);
        _refuses(abi.encodePacked(signed(KEY, hash), noise, uint8(0)), nonce);
        vm.assertFalse(token.authorizationState(holder, nonce));
    }

    function _refuses(bytes memory signature, bytes32 nonce) private {
        vm.expectRevert(abi.encodeWithSignature("SignatureRefused(address)", holder));
        token.transferWithAuthorization(holder, bob, CNH, 0, FOREVER, nonce, signature);
    }

    /// @dev Permits are numbered without gaps, and each is good once.
    function testFuzz_permits_in_order(uint8 count, uint256 value) public {
        count = count % 5 + 1;
        for (uint256 i = 0; i < count; ++i) {
            bytes memory signature = signed(KEY, permitOf(bob, value, i, FOREVER));
            token.permit(holder, bob, value, FOREVER, signature);
            vm.expectRevert(abi.encodeWithSignature("SignatureRefused(address)", holder));
            token.permit(holder, bob, value, FOREVER, signature);
        }
        vm.assertEq(token.nonces(holder), count);
        vm.assertEq(token.allowance(holder, bob), value);
    }
}
