// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "../../types/RulesWord.sol";
import {CNH, Deployed, FEN} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

contract RedeemTest is Deployed {
    bytes32 private constant INSTRUCTION = keccak256("account at a bank");

    function setUp() public override {
        super.setUp();
        endow(alice, 100 * CNH);
    }

    function redeem(address holder, uint256 value) private {
        vm.prank(holder);
        token.redeem(value, INSTRUCTION);
    }

    function test_a_redemption_burns_and_is_numbered_by_the_sum_of_all() public {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, address(0), 30 * CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Redeemed(alice, 30 * CNH, 30 * CNH, INSTRUCTION);
        redeem(alice, 30 * CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Redeemed(alice, 50 * CNH, 20 * CNH, INSTRUCTION);
        redeem(alice, 20 * CNH);

        vm.assertEq(token.balanceOf(alice), 50 * CNH);
        vm.assertEq(token.totalSupply(), 50 * CNH);
        vm.assertEq(token.redeemed(), 50 * CNH);
        vm.assertEq(token.liabilities(), 100 * CNH);
        vm.assertEq(token.nextNumber(), 2);
    }

    function test_redemptions_are_in_whole_fen() public {
        redeem(alice, FEN);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.FractionOfFen.selector, FEN + 1));
        redeem(alice, FEN + 1);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.FractionOfFen.selector, 1));
        redeem(alice, 1);
    }

    function test_the_whole_balance_may_be_redeemed_dust_and_all() public {
        vm.prank(alice);
        token.transfer(bob, FEN / 2 + 7);
        redeem(bob, FEN / 2 + 7);
        redeem(alice, 100 * CNH - FEN / 2 - 7);
        vm.assertEq(token.totalSupply(), 0);
        vm.assertEq(token.redeemed(), 100 * CNH);
    }

    function test_nothing_and_more_than_the_balance_are_refused() public {
        vm.expectRevert(IOffshoreYuan.ZeroValue.selector);
        redeem(alice, 0);
        vm.expectRevert(IOffshoreYuan.ZeroValue.selector);
        redeem(bob, 0);
        uint256 value = 100 * CNH + FEN;
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100 * CNH, value));
        redeem(alice, value);
    }

    function test_only_verified_holders_redeem_whatever_the_policy() public {
        slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN)));
        vm.prank(alice);
        token.transfer(mallory, CNH);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, mallory));
        redeem(mallory, CNH);
        freeze(alice);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, alice));
        redeem(alice, CNH);
    }

    function test_a_stop_of_redemptions_stops_redemptions_and_other_stops_do_not() public {
        stop(STOP_TRANSFER | STOP_MINT);
        redeem(alice, CNH);
        stop(STOP_REDEEM);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_REDEEM));
        redeem(alice, CNH);
    }
}
