// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "../../types/RulesWord.sol";
import {CNH, Deployed} from "../support/Deployed.sol";
import {CeilingHook} from "../support/Doubles.sol";
import {vm} from "../support/Vm.sol";

contract TransferTest is Deployed {
    uint16 private constant TIER = 1 << 2;
    bytes32 private constant MEMO = "invoice 7";

    function setUp() public override {
        super.setUp();
        endow(alice, 1000 * CNH);
    }

    function openPolicy() private {
        slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN)));
    }

    function test_metadata() public view {
        vm.assertEq(token.name(), "Offshore Yuan Sandbox");
        vm.assertEq(token.symbol(), "OCNH");
        vm.assertEq(token.currency(), "CNH");
        vm.assertEq(token.decimals(), 6);
    }

    function test_transfer_moves_the_value_and_says_so() public {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, bob, 250 * CNH);
        vm.prank(alice);
        vm.assertTrue(token.transfer(bob, 250 * CNH));
        vm.assertEq(token.balanceOf(alice), 750 * CNH);
        vm.assertEq(token.balanceOf(bob), 250 * CNH);
        vm.assertEq(token.totalSupply(), 1000 * CNH);
    }

    function test_transfer_to_oneself_changes_nothing() public {
        vm.prank(alice);
        token.transfer(alice, 1000 * CNH);
        vm.assertEq(token.balanceOf(alice), 1000 * CNH);
    }

    function test_transfer_of_nothing_is_a_transfer() public {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(bob, alice, 0);
        vm.prank(bob);
        token.transfer(alice, 0);
    }

    function test_transfer_keeps_the_status_of_both_sides() public {
        vm.prank(alice);
        token.transfer(bob, 1000 * CNH);
        (, uint16 emptied, uint32 freezes) = token.accountOf(alice);
        (, uint16 filled,) = token.accountOf(bob);
        vm.assertEq(emptied, VERIFIED);
        vm.assertEq(filled, VERIFIED);
        vm.assertEq(freezes, 0);
    }

    function test_more_than_the_balance_is_refused() public {
        uint256 value = 1000 * CNH + 1;
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 1000 * CNH, value)
        );
        vm.prank(alice);
        token.transfer(bob, value);
    }

    // Nothing to the zero address or to the token

    function test_nothing_goes_to_the_zero_address_or_the_token() public {
        _refusesRecipient(address(0));
        _refusesRecipient(address(token));
    }

    function test_nothing_goes_there_under_the_open_policy_or_when_verified_either() public {
        openPolicy();
        verify(address(0));
        verify(address(token));
        _refusesRecipient(address(0));
        _refusesRecipient(address(token));
    }

    function _refusesRecipient(address to) private {
        bytes memory refusal = abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, to);
        vm.expectRevert(refusal);
        vm.prank(alice);
        token.transfer(to, CNH);
        vm.prank(alice);
        token.approve(bob, CNH);
        vm.expectRevert(refusal);
        vm.prank(bob);
        token.transferFrom(alice, to, CNH);
        mintRefused(to, CNH, refusal);
    }

    // Status of sender, recipient and spender

    function test_an_unverified_side_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, mallory));
        vm.prank(alice);
        token.transfer(mallory, CNH);

        vm.prank(registrar);
        token.unverify(one(alice));
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, alice));
        vm.prank(alice);
        token.transfer(bob, CNH);
    }

    function test_a_frozen_side_is_refused() public {
        freeze(bob);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, bob));
        vm.prank(alice);
        token.transfer(bob, CNH);

        freeze(alice);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, alice));
        vm.prank(alice);
        token.transfer(carol, CNH);
    }

    function test_a_frozen_spender_cannot_use_an_old_infinite_allowance() public {
        vm.prank(alice);
        token.approve(bob, type(uint256).max);
        freeze(bob);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, bob));
        vm.prank(bob);
        token.transferFrom(alice, carol, CNH);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, bob));
        vm.prank(bob);
        token.transferFromWithMemo(alice, carol, CNH, MEMO);
    }

    function test_an_unverified_spender_is_refused_by_the_verified_policy_only() public {
        vm.prank(alice);
        token.approve(mallory, CNH);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, mallory));
        vm.prank(mallory);
        token.transferFrom(alice, bob, CNH);

        openPolicy();
        vm.prank(mallory);
        token.transferFrom(alice, bob, CNH);
        vm.assertEq(token.balanceOf(bob), CNH);
    }

    function test_the_open_policy_lets_anyone_but_the_frozen() public {
        openPolicy();
        vm.prank(alice);
        token.transfer(mallory, CNH);
        freeze(mallory);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, mallory));
        vm.prank(mallory);
        token.transfer(alice, CNH);
    }

    function test_a_policy_may_ask_for_a_spare_bit() public {
        slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, VERIFIED | TIER, FROZEN)));
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountStatusRefused.selector, alice, VERIFIED));
        vm.prank(alice);
        token.transfer(bob, CNH);
    }

    function test_a_policy_that_forbids_the_verified_bit_refuses_the_verified() public {
        slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN | VERIFIED)));
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountStatusRefused.selector, alice, VERIFIED));
        vm.prank(alice);
        token.transfer(mallory, CNH);
    }

    // Allowances

    function test_a_finite_allowance_is_used_up_and_an_infinite_one_is_not() public {
        vm.prank(alice);
        token.approve(bob, 10 * CNH);
        vm.prank(bob);
        vm.assertTrue(token.transferFrom(alice, carol, 4 * CNH));
        vm.assertEq(token.allowance(alice, bob), 6 * CNH);

        vm.prank(alice);
        token.approve(bob, type(uint256).max);
        vm.prank(bob);
        token.transferFrom(alice, carol, 4 * CNH);
        vm.assertEq(token.allowance(alice, bob), type(uint256).max);
        vm.assertEq(token.balanceOf(carol), 8 * CNH);
    }

    function test_more_than_the_allowance_is_refused() public {
        vm.prank(alice);
        token.approve(bob, CNH);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, bob, CNH, CNH + 1));
        vm.prank(bob);
        token.transferFrom(alice, carol, CNH + 1);
    }

    function test_an_allowance_covers_itself_to_the_unit() public {
        vm.prank(alice);
        token.approve(bob, CNH);
        (bool can,) = token.canTransfer(bob, alice, carol, CNH);
        vm.assertTrue(can);
        (can,) = token.canTransfer(bob, alice, carol, CNH + 1);
        vm.assertFalse(can);
        vm.prank(bob);
        token.transferFrom(alice, carol, CNH);
    }

    function test_a_holder_needs_an_allowance_to_spend_its_own_tokens_as_a_spender() public {
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, alice, 0, CNH));
        vm.prank(alice);
        token.transferFrom(alice, bob, CNH);
    }

    function test_approve_says_so_and_refuses_the_zero_address() public {
        vm.expectEmit(address(token));
        emit IERC20.Approval(alice, bob, CNH);
        vm.prank(alice);
        vm.assertTrue(token.approve(bob, CNH));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidSpender.selector, address(0)));
        vm.prank(alice);
        token.approve(address(0), CNH);
    }

    // Memo

    function test_a_memo_follows_its_transfer() public {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, bob, CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Memo(alice, bob, MEMO, CNH);
        vm.prank(alice);
        vm.assertTrue(token.transferWithMemo(bob, CNH, MEMO));

        vm.prank(alice);
        token.approve(bob, CNH);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, carol, CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Memo(alice, carol, MEMO, CNH);
        vm.prank(bob);
        vm.assertTrue(token.transferFromWithMemo(alice, carol, CNH, MEMO));
        vm.assertEq(token.allowance(alice, bob), 0);
    }

    // Stops

    function test_a_stop_of_transfers_stops_transfers_and_not_approvals() public {
        vm.prank(alice);
        token.approve(bob, CNH);
        stop(STOP_TRANSFER);
        bytes memory refusal = abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_TRANSFER);
        vm.expectRevert(refusal);
        vm.prank(alice);
        token.transfer(bob, CNH);
        vm.expectRevert(refusal);
        vm.prank(alice);
        token.transferWithMemo(bob, CNH, MEMO);
        vm.expectRevert(refusal);
        vm.prank(bob);
        token.transferFrom(alice, carol, CNH);
        vm.prank(alice);
        token.approve(bob, 0);
    }

    function test_other_stops_do_not_stop_transfers() public {
        stop(STOP_MINT | STOP_REDEEM);
        vm.prank(alice);
        token.transfer(bob, CNH);
        vm.assertEq(token.balanceOf(bob), CNH);
    }

    // Hook

    function test_a_hook_may_refuse_a_transfer() public {
        CeilingHook hook = new CeilingHook(5 * CNH);
        slowly(token, abi.encodeCall(token.setHook, (address(0), address(hook))));
        vm.prank(alice);
        token.transfer(bob, 5 * CNH);
        vm.expectRevert(abi.encodeWithSelector(CeilingHook.AboveCeiling.selector, alice, bob, 5 * CNH + 1));
        vm.prank(alice);
        token.transfer(bob, 5 * CNH + 1);
    }

    function test_a_hook_is_not_asked_about_mint_and_redeem() public {
        CeilingHook hook = new CeilingHook(0);
        slowly(token, abi.encodeCall(token.setHook, (address(0), address(hook))));
        endow(bob, CNH);
        vm.prank(bob);
        token.redeem(CNH, 0);
        vm.assertEq(token.redeemed(), CNH);
    }

    function test_a_removed_hook_is_not_asked() public {
        CeilingHook hook = new CeilingHook(0);
        slowly(token, abi.encodeCall(token.setHook, (address(0), address(hook))));
        slowly(token, abi.encodeCall(token.setHook, (address(hook), address(0))));
        vm.prank(alice);
        token.transfer(bob, CNH);
        vm.assertEq(token.balanceOf(bob), CNH);
    }
}
