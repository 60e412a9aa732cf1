// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {ALL_STOPS} from "../../types/RulesWord.sol";
import {CNH, Deployed, FEN} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

contract SeizureTest is Deployed {
    bytes32 private constant CASE = keccak256("HCMP 1/2026");

    function setUp() public override {
        super.setUp();
        endow(alice, 100 * CNH);
    }

    function seizure(uint256 balance, uint256 value) private view returns (bytes memory) {
        return abi.encodeCall(token.seize, (alice, balance, value, CASE));
    }

    function refused(bytes memory act, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(admin);
        token.propose(act);
    }

    function thaw() private {
        (,, uint32 freezes) = token.accountOf(alice);
        slowly(token, abi.encodeCall(token.unfreeze, (alice, freezes)));
    }

    function test_a_seized_balance_is_burned_and_owed_under_the_case() public {
        freeze(alice);
        bytes memory act = seizure(100 * CNH, 60 * CNH);
        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, address(0), 60 * CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Redeemed(alice, 60 * CNH, 60 * CNH, CASE);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Seized(alice, 60 * CNH, 60 * CNH, CASE);
        accept(token, act);
        vm.assertEq(token.balanceOf(alice), 40 * CNH);
        vm.assertEq(token.redeemed(), 60 * CNH);
        vm.assertEq(token.totalSupply(), 40 * CNH);
        // Owed until the bank reports it as paid.
        vm.assertEq(token.liabilities(), 100 * CNH);
        attest(40 * CNH, 100 * CNH, 60 * CNH);
        vm.assertEq(token.liabilities(), 40 * CNH);
    }

    function test_only_a_frozen_balance_is_seized() public {
        refused(seizure(100 * CNH, CNH), abi.encodeWithSelector(IOffshoreYuan.NotFrozen.selector, alice));
        freeze(alice);
        bytes memory act = seizure(100 * CNH, CNH);
        propose(token, act);
        thaw();
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.NotFrozen.selector, alice));
        accept(token, act);
    }

    function test_it_works_while_everything_is_stopped_and_for_who_is_no_longer_verified() public {
        freeze(alice);
        stop(ALL_STOPS);
        vm.prank(registrar);
        token.unverify(one(alice));
        slowly(token, seizure(100 * CNH, 100 * CNH));
        vm.assertEq(token.balanceOf(alice), 0);
    }

    function test_a_later_inflow_is_seized_under_the_same_case() public {
        freeze(alice);
        slowly(token, seizure(100 * CNH, 100 * CNH));
        thaw();
        endow(alice, 7 * CNH);
        freeze(alice);
        slowly(token, seizure(7 * CNH, 7 * CNH));
        vm.assertEq(token.balanceOf(alice), 0);
        vm.assertEq(token.redeemed(), 107 * CNH);
    }

    /// @dev The lists of the frozen are applied again and again; a waiting seizure survives that.
    function test_freezing_again_does_not_delay_it() public {
        freeze(alice);
        bytes memory act = seizure(100 * CNH, 100 * CNH);
        propose(token, act);
        freeze(alice);
        vm.warp(block.timestamp + DELAY);
        accept(token, act);
        vm.assertEq(token.balanceOf(alice), 0);
    }

    function test_it_names_the_balance_it_takes_from() public {
        freeze(alice);
        refused(seizure(99 * CNH, CNH), abi.encodeWithSelector(ISlowActs.OutOfDate.selector));
        bytes memory first = seizure(100 * CNH, CNH);
        bytes memory second = seizure(100 * CNH, 2 * CNH);
        propose(token, first);
        propose(token, second);
        vm.warp(block.timestamp + DELAY);
        accept(token, first);
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        accept(token, second);
    }

    function test_it_names_a_case_and_a_value_that_can_be_paid() public {
        freeze(alice);
        refused(
            abi.encodeCall(token.seize, (alice, 100 * CNH, CNH, bytes32(0))),
            abi.encodeWithSelector(IOffshoreYuan.NoCase.selector)
        );
        refused(seizure(100 * CNH, 0), abi.encodeWithSelector(IOffshoreYuan.ZeroValue.selector));
        refused(seizure(100 * CNH, FEN + 1), abi.encodeWithSelector(IOffshoreYuan.FractionOfFen.selector, FEN + 1));
        refused(
            seizure(100 * CNH, 101 * CNH),
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100 * CNH, 101 * CNH)
        );
    }

    function test_the_guardian_cancels_it() public {
        freeze(alice);
        bytes memory act = seizure(100 * CNH, CNH);
        bytes32 actId = propose(token, act);
        vm.prank(guardian);
        token.cancel(actId);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotProposed.selector, actId));
        accept(token, act);
    }
}
