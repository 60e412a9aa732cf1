// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IAuthorizations} from "../../interfaces/IAuthorizations.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {ISignatures} from "../../interfaces/ISignatures.sol";
import {ALL_STOPS, STOP_REDEEM} from "../../types/RulesWord.sol";
import {CNH, FEN} from "../support/Deployed.sol";
import {Wallet} from "../support/Doubles.sol";
import {Signing} from "../support/Signing.sol";
import {vm} from "../support/Vm.sol";

/// @dev What holders do by signature, from the words of ERC-2612, 3009, 1271, 5267, 165 and EIP-7702.
contract AuthorizationsTest is Signing {
    bytes32 private constant NONCE = keccak256("any 32 bytes");
    uint256 private constant STRANGER = 0xBAD;
    /// @dev The order of secp256k1.
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    bytes private refusedSignature = abi.encodeWithSelector(ISignatures.SignatureRefused.selector, holder);
    bytes private usedNonce =
        abi.encodeWithSelector(IAuthorizations.AuthorizationUsedOrCanceled.selector, holder, NONCE);

    function setUp() public override {
        super.setUp();
        endow(holder, 100 * CNH);
    }

    function split(bytes memory signature) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        (r, s) = abi.decode(signature, (bytes32, bytes32));
        v = uint8(signature[64]);
    }

    function transferSigned(uint256 value, bytes memory signature) private {
        token.transferWithAuthorization(holder, bob, value, 0, FOREVER, NONCE, signature);
    }

    // ERC-5267, EIP-712, ERC-165

    function test_the_domain_is_told_and_is_the_one_signed_over() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address target, bytes32 salt,) =
            token.eip712Domain();
        (,,,,,, uint256[] memory extensions) = token.eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(bytes1(0x0f)));
        vm.assertEq(name, token.name());
        vm.assertEq(version, token.version());
        vm.assertEq(chain, block.chainid);
        vm.assertEq(target, address(token));
        vm.assertEq(salt, 0);
        vm.assertEq(extensions.length, 0);
        vm.assertEq(token.DOMAIN_SEPARATOR(), domainOf(name, chain, target));
    }

    function test_type_hashes_are_those_of_the_standards() public view {
        vm.assertEq(token.PERMIT_TYPEHASH(), PERMIT);
        vm.assertEq(token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), TRANSFER);
        vm.assertEq(token.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(), RECEIVE);
        vm.assertEq(token.CANCEL_AUTHORIZATION_TYPEHASH(), CANCEL);
        vm.assertEq(token.REDEEM_WITH_AUTHORIZATION_TYPEHASH(), REDEEM);
        // Printed in ERC-3009.
        vm.assertEq(TRANSFER, 0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267);
        vm.assertEq(RECEIVE, 0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8);
        vm.assertEq(CANCEL, 0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429);
        vm.assertEq(PERMIT, 0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9);
    }

    function test_interfaces_are_told() public view {
        bytes4[8] memory told = [
            type(IERC165).interfaceId,
            type(IERC20).interfaceId,
            bytes4(0xa219a025), // name, symbol, decimals
            type(IERC20Permit).interfaceId,
            type(IERC3009).interfaceId,
            type(IERC3009Cancel).interfaceId,
            type(IERC5267).interfaceId,
            bytes4(0xe8a3d485) // contractURI()
        ];
        for (uint256 i = 0; i < told.length; ++i) {
            vm.assertTrue(token.supportsInterface(told[i]));
        }
        vm.assertFalse(token.supportsInterface(0xffffffff));
    }

    // ERC-2612

    function test_a_permit_sets_the_allowance_and_uses_the_next_nonce() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, permitOf(bob, 7, 0, FOREVER));
        vm.expectEmit(address(token));
        emit IERC20.Approval(holder, bob, 7);
        vm.prank(mallory);
        token.permit(holder, bob, 7, FOREVER, v, r, s);
        vm.assertEq(token.allowance(holder, bob), 7);
        vm.assertEq(token.nonces(holder), 1);
        vm.expectRevert(refusedSignature);
        token.permit(holder, bob, 7, FOREVER, v, r, s);

        token.permit(holder, bob, 9, block.timestamp, signed(KEY, permitOf(bob, 9, 1, block.timestamp)));
        vm.assertEq(token.allowance(holder, bob), 9);
        vm.assertEq(token.nonces(holder), 2);
    }

    function test_a_permit_is_refused_after_its_deadline_or_when_anything_differs() public {
        bytes memory late = signed(KEY, permitOf(bob, 7, 0, block.timestamp - 1));
        vm.expectRevert(abi.encodeWithSelector(IAuthorizations.PermitExpired.selector, block.timestamp - 1));
        token.permit(holder, bob, 7, block.timestamp - 1, late);

        bytes memory good = signed(KEY, permitOf(bob, 7, 0, FOREVER));
        vm.expectRevert(refusedSignature);
        token.permit(holder, carol, 7, FOREVER, good);
        vm.expectRevert(refusedSignature);
        token.permit(holder, bob, 8, FOREVER, good);
        vm.expectRevert(refusedSignature);
        token.permit(holder, bob, 7, FOREVER - 1, good);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, alice));
        token.permit(alice, bob, 7, FOREVER, good);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, address(0)));
        token.permit(address(0), bob, 7, FOREVER, new bytes(65));
        vm.assertEq(token.nonces(holder), 0);
    }

    function test_a_permit_refuses_the_zero_address_as_approve_does() public {
        bytes memory good = signed(KEY, permitOf(address(0), 7, 0, FOREVER));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidSpender.selector, address(0)));
        token.permit(holder, address(0), 7, FOREVER, good);
        vm.assertEq(token.nonces(holder), 0);
    }

    function test_a_permit_works_while_everything_is_stopped_and_moves_nothing() public {
        stop(ALL_STOPS);
        freeze(holder);
        token.permit(holder, bob, 7, FOREVER, signed(KEY, permitOf(bob, 7, 0, FOREVER)));
        vm.assertEq(token.balanceOf(holder), 100 * CNH);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, 1));
        vm.prank(bob);
        token.transferFrom(holder, bob, 7);
    }

    // ERC-3009: transfer

    function test_a_transfer_is_submitted_by_anyone_in_both_forms() public {
        (uint8 v, bytes32 r, bytes32 s) = split(moveOf(TRANSFER, bob, 3 * CNH, NONCE));
        vm.assertFalse(token.authorizationState(holder, NONCE));
        vm.expectEmit(address(token));
        emit IERC3009.AuthorizationUsed(holder, NONCE);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(holder, bob, 3 * CNH);
        vm.prank(mallory);
        token.transferWithAuthorization(holder, bob, 3 * CNH, 0, FOREVER, NONCE, v, r, s);
        vm.assertTrue(token.authorizationState(holder, NONCE));

        bytes memory second = moveOf(TRANSFER, bob, CNH, bytes32(0));
        token.transferWithAuthorization(holder, bob, CNH, 0, FOREVER, 0, second);
        vm.assertEq(token.balanceOf(bob), 4 * CNH);
        vm.assertEq(token.balanceOf(holder), 96 * CNH);
    }

    /// @dev Elsewhere a used authorization returns success, even with a garbage signature.
    function test_a_used_authorization_always_reverts() public {
        bytes memory signature = moveOf(TRANSFER, bob, CNH, NONCE);
        transferSigned(CNH, signature);
        vm.expectRevert(usedNonce);
        transferSigned(CNH, signature);
        vm.expectRevert(usedNonce);
        transferSigned(CNH, new bytes(65));
        vm.expectRevert(usedNonce);
        transferSigned(CNH, "");
        vm.expectRevert(usedNonce);
        token.cancelAuthorization(holder, NONCE, cancellation(NONCE));
        bytes memory receipt = moveOf(RECEIVE, bob, CNH, NONCE);
        vm.expectRevert(usedNonce);
        vm.prank(bob);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, NONCE, receipt);
        bytes memory burn = redemption(CNH, 0, NONCE);
        vm.expectRevert(usedNonce);
        token.redeemWithAuthorization(holder, CNH, 0, FOREVER, NONCE, burn);
        vm.assertEq(token.balanceOf(bob), CNH);
    }

    function test_an_authorization_is_valid_strictly_between_its_times() public {
        uint256 time = block.timestamp;
        _at(time, time + 1, false);
        _at(time - 1, time, false);
        _at(time - 1, time + 1, true);
    }

    /// @dev Bit 47 of both times means nothing here: the times lie far in the future, whatever the block number.
    function test_times_are_never_read_as_block_numbers() public {
        _at(1 << 47, (1 << 47) + 1_000_000, false);
        _at(0, (1 << 47) + 1, true);
    }

    function _at(uint256 validAfter, uint256 validBefore, bool valid) private {
        bytes32 nonce = keccak256(abi.encode(validAfter, validBefore));
        bytes memory signature =
            signed(KEY, digest(abi.encode(TRANSFER, holder, bob, CNH, validAfter, validBefore, nonce)));
        if (!valid) {
            vm.expectRevert(
                abi.encodeWithSelector(IAuthorizations.AuthorizationNotValidNow.selector, validAfter, validBefore)
            );
        }
        token.transferWithAuthorization(holder, bob, CNH, validAfter, validBefore, nonce, signature);
        vm.assertTrue(token.authorizationState(holder, nonce) == valid);
    }

    function test_what_was_not_signed_is_refused_and_uses_nothing() public {
        bytes memory signature = moveOf(TRANSFER, bob, CNH, NONCE);
        vm.expectRevert(refusedSignature);
        transferSigned(CNH + 1, signature);
        vm.expectRevert(refusedSignature);
        token.transferWithAuthorization(holder, carol, CNH, 0, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        token.transferWithAuthorization(holder, bob, CNH, 1, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        token.transferWithAuthorization(holder, bob, CNH, 0, FOREVER - 1, NONCE, signature);
        vm.expectRevert(refusedSignature);
        token.transferWithAuthorization(holder, bob, CNH, 0, FOREVER, 0, signature);
        vm.expectRevert(refusedSignature);
        vm.prank(bob);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        transferSigned(CNH, signed(STRANGER, digest(abi.encode(TRANSFER, holder, bob, CNH, 0, FOREVER, NONCE))));
        vm.expectRevert(refusedSignature);
        transferSigned(CNH, "");
        vm.assertFalse(token.authorizationState(holder, NONCE));
    }

    function test_the_other_form_of_the_same_signature_is_refused() public {
        (uint8 v, bytes32 r, bytes32 s) = split(moveOf(TRANSFER, bob, CNH, NONCE));
        vm.expectRevert(refusedSignature);
        token.transferWithAuthorization(
            holder, bob, CNH, 0, FOREVER, NONCE, v == 27 ? 28 : 27, r, bytes32(ORDER - uint256(s))
        );
    }

    function test_a_signature_for_another_chain_is_refused_also_after_a_split() public {
        bytes memory fields = abi.encode(TRANSFER, holder, bob, CNH, 0, FOREVER, NONCE);
        uint256 here = block.chainid;
        bytes memory elsewhere = signed(KEY, digestOn(here + 1, fields));
        bytes memory signature = signed(KEY, digestOn(here, fields));
        vm.expectRevert(refusedSignature);
        transferSigned(CNH, elsewhere);
        vm.chainId(here + 1);
        vm.expectRevert(refusedSignature);
        transferSigned(CNH, signature);
        vm.assertEq(token.DOMAIN_SEPARATOR(), domainOf("Offshore Yuan Sandbox", here + 1, address(token)));
        transferSigned(CNH, elsewhere);
    }

    // ERC-3009: receive and cancel

    function test_only_the_recipient_receives() public {
        bytes memory signature = moveOf(RECEIVE, bob, CNH, NONCE);
        vm.expectRevert(abi.encodeWithSelector(IAuthorizations.NotRecipient.selector, mallory));
        vm.prank(mallory);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        transferSigned(CNH, signature);
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        vm.expectRevert(abi.encodeWithSelector(IAuthorizations.NotRecipient.selector, mallory));
        vm.prank(mallory);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, NONCE, v, r, s);
        vm.prank(bob);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, NONCE, v, r, s);
        vm.assertEq(token.balanceOf(bob), CNH);

        bytes memory second = moveOf(RECEIVE, bob, CNH, 0);
        vm.prank(bob);
        token.receiveWithAuthorization(holder, bob, CNH, 0, FOREVER, 0, second);
        vm.assertEq(token.balanceOf(bob), 2 * CNH);
    }

    function test_a_cancelled_authorization_is_never_used_and_cancelling_works_while_stopped() public {
        stop(ALL_STOPS);
        freeze(holder);
        bytes memory signature = cancellation(NONCE);
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        vm.expectEmit(address(token));
        emit IERC3009Cancel.AuthorizationCanceled(holder, NONCE);
        vm.prank(mallory);
        token.cancelAuthorization(holder, NONCE, v, r, s);
        vm.assertTrue(token.authorizationState(holder, NONCE));
        vm.expectRevert(usedNonce);
        token.cancelAuthorization(holder, NONCE, signature);
        vm.expectRevert(usedNonce);
        transferSigned(CNH, moveOf(TRANSFER, bob, CNH, NONCE));

        vm.expectRevert(refusedSignature);
        token.cancelAuthorization(holder, 0, signature);
        token.cancelAuthorization(holder, 0, cancellation(0));
        vm.assertTrue(token.authorizationState(holder, 0));
    }

    // Redemption

    function test_a_signed_redemption_is_one_redemption_of_that_value() public {
        bytes32 instruction = keccak256("account at a bank");
        bytes memory signature = redemption(30 * CNH, instruction, NONCE);
        vm.expectEmit(address(token));
        emit IERC3009.AuthorizationUsed(holder, NONCE);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(holder, address(0), 30 * CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Redeemed(holder, 30 * CNH, 30 * CNH, instruction);
        vm.prank(mallory);
        token.redeemWithAuthorization(holder, 30 * CNH, instruction, FOREVER, NONCE, signature);
        vm.assertEq(token.balanceOf(holder), 70 * CNH);
        vm.expectRevert(usedNonce);
        token.redeemWithAuthorization(holder, 30 * CNH, instruction, FOREVER, NONCE, signature);
    }

    /// @dev Elsewhere one signature authorizes any later burn.
    function test_a_signed_redemption_covers_value_instruction_nonce_and_time() public {
        bytes memory signature = redemption(CNH, ROOT, NONCE);
        vm.expectRevert(refusedSignature);
        token.redeemWithAuthorization(holder, 2 * CNH, ROOT, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        token.redeemWithAuthorization(holder, CNH, 0, FOREVER, NONCE, signature);
        vm.expectRevert(refusedSignature);
        token.redeemWithAuthorization(holder, CNH, ROOT, FOREVER, 0, signature);
        vm.expectRevert(refusedSignature);
        token.redeemWithAuthorization(holder, CNH, ROOT, FOREVER - 1, NONCE, signature);
        vm.expectRevert(abi.encodeWithSelector(IAuthorizations.AuthorizationNotValidNow.selector, 0, block.timestamp));
        token.redeemWithAuthorization(holder, CNH, ROOT, block.timestamp, NONCE, signature);
        vm.assertEq(token.redeemed(), 0);
    }

    function test_a_signed_redemption_is_refused_where_the_holders_own_would_be() public {
        bytes memory fraction = redemption(FEN + 1, 0, NONCE);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.FractionOfFen.selector, FEN + 1));
        token.redeemWithAuthorization(holder, FEN + 1, 0, FOREVER, NONCE, fraction);
        bytes memory good = redemption(CNH, 0, NONCE);
        stop(STOP_REDEEM);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_REDEEM));
        token.redeemWithAuthorization(holder, CNH, 0, FOREVER, NONCE, good);
        vm.assertFalse(token.authorizationState(holder, NONCE));
    }

    // ERC-1271 and EIP-7702

    function test_a_wallet_signs_by_its_own_rule() public {
        Wallet wallet = new Wallet(STRANGER);
        address account = address(wallet);
        verify(account);
        endow(account, CNH);
        bytes memory signature = signed(STRANGER, digest(abi.encode(TRANSFER, account, bob, CNH, 0, FOREVER, NONCE)));
        bytes memory wrong = signed(KEY, digest(abi.encode(TRANSFER, account, bob, CNH, 0, FOREVER, NONCE)));
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, account));
        token.transferWithAuthorization(account, bob, CNH, 0, FOREVER, NONCE, wrong);
        token.transferWithAuthorization(account, bob, CNH, 0, FOREVER, NONCE, signature);
        token.permit(
            account, bob, 7, FOREVER, signed(STRANGER, digest(abi.encode(PERMIT, account, bob, 7, 0, FOREVER)))
        );
        vm.assertEq(token.balanceOf(bob), CNH);
        vm.assertEq(token.allowance(account, bob), 7);
    }

    function test_a_contract_that_answers_otherwise_accepts_nothing() public {
        verify(address(feed));
        bytes memory signature = signed(KEY, digest(abi.encode(CANCEL, address(feed), NONCE)));
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, address(feed)));
        token.cancelAuthorization(address(feed), NONCE, signature);
    }

    function test_an_owner_with_delegated_code_signs_by_its_key_and_by_its_code() public {
        // The delegate knows nothing of ERC-1271.
        vm.etch(holder, abi.encodePacked(hex"ef0100", address(feed)));
        vm.assertEq(holder.code.length, 23);
        transferSigned(CNH, moveOf(TRANSFER, bob, CNH, NONCE));
        token.permit(holder, bob, 7, FOREVER, signed(KEY, permitOf(bob, 7, 0, FOREVER)));
        token.redeemWithAuthorization(
            holder, CNH, 0, FOREVER, bytes32(uint256(1)), redemption(CNH, 0, bytes32(uint256(1)))
        );
        token.cancelAuthorization(holder, bytes32(uint256(2)), cancellation(bytes32(uint256(2))));

        vm.etch(holder, abi.encodePacked(hex"ef0100", address(new Wallet(STRANGER))));
        bytes32 nonce = bytes32(uint256(3));
        bytes32 hash = digest(abi.encode(TRANSFER, holder, bob, CNH, 0, FOREVER, nonce));
        token.transferWithAuthorization(holder, bob, CNH, 0, FOREVER, nonce, signed(STRANGER, hash));
        vm.assertEq(token.balanceOf(bob), 2 * CNH);
    }
}
