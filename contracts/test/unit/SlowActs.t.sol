// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {Minter} from "../../Minter.sol";
import {STOP_MINT} from "../../types/RulesWord.sol";
import {create} from "../support/Code.sol";
import {Deployed} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

/// @dev Propose, wait, accept: the same machinery in token, minter and feed, shown on the token.
contract SlowActsTest is Deployed {
    bytes private act;
    bytes32 private actId;

    function setUp() public override {
        super.setUp();
        stop(STOP_MINT);
        act = abi.encodeCall(token.resume, (STOP_MINT, 1));
        actId = keccak256(act);
    }

    function isStopped() private view returns (bool) {
        (,, uint8 stops,,) = token.rules();
        return stops != 0;
    }

    function test_an_act_is_proposed_waited_for_and_accepted_once() public {
        uint48 ready = uint48(block.timestamp) + DELAY;
        vm.expectEmit(address(token));
        emit ISlowActs.Proposed(actId, act, ready, admin);
        vm.assertEq(propose(token, act), actId);
        vm.assertEq(token.readyAt(actId), ready);
        vm.assertTrue(isStopped());

        vm.warp(ready);
        vm.expectEmit(address(token));
        emit ISlowActs.Accepted(actId, admin);
        accept(token, act);
        vm.assertFalse(isStopped());
        vm.assertEq(token.readyAt(actId), 0);

        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotProposed.selector, actId));
        accept(token, act);
    }

    function test_not_before_the_delay() public {
        propose(token, act);
        uint48 ready = token.readyAt(actId);
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotReady.selector, actId, ready));
        accept(token, act);
    }

    function test_not_after_the_window() public {
        propose(token, act);
        uint48 end = token.readyAt(actId) + token.ACCEPT_WINDOW();
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.Expired.selector, actId, end));
        accept(token, act);
        vm.warp(end - 1);
        accept(token, act);
        vm.assertFalse(isStopped());
    }

    function test_a_waiting_act_is_not_proposed_again_and_an_expired_one_is() public {
        propose(token, act);
        uint48 ready = token.readyAt(actId);
        vm.warp(ready + token.ACCEPT_WINDOW() - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.AlreadyProposed.selector, actId, ready));
        propose(token, act);

        vm.warp(ready + token.ACCEPT_WINDOW());
        propose(token, act);
        vm.assertEq(token.readyAt(actId), block.timestamp + DELAY);
    }

    function test_only_who_may_do_the_act_proposes_and_accepts_it() public {
        address[5] memory others = [guardian, registrar, sender, alice, address(token)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, others[i], token.resume.selector));
            vm.prank(others[i]);
            token.propose(act);
        }
        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, others[i], token.resume.selector));
            vm.prank(others[i]);
            token.accept(act);
        }
    }

    function test_who_lost_the_right_while_waiting_cannot_accept() public {
        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        vm.prank(admin);
        authority.renounceRole(ADMIN, admin);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, admin, token.resume.selector));
        accept(token, act);
    }

    function test_the_guardian_alone_cancels() public {
        propose(token, act);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, admin, token.cancel.selector));
        vm.prank(admin);
        token.cancel(actId);

        vm.expectEmit(address(token));
        emit ISlowActs.Cancelled(actId, guardian);
        vm.prank(guardian);
        token.cancel(actId);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotProposed.selector, actId));
        accept(token, act);

        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotProposed.selector, actId));
        vm.prank(guardian);
        token.cancel(actId);
    }

    function test_an_act_that_would_fail_cannot_be_proposed_ahead_of_its_need() public {
        bytes memory early = abi.encodeCall(token.resume, (STOP_MINT, 2));
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        propose(token, early);
        stop(STOP_MINT);
        propose(token, early);
    }

    function test_only_calls_of_slow_functions_can_be_acts() public {
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, admin, token.freeze.selector));
        propose(token, abi.encodeCall(token.freeze, (one(alice))));
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, address(token), token.resume.selector));
        propose(token, abi.encodeCall(token.propose, (act)));
        vm.expectRevert();
        propose(token, hex"12345678");
        vm.expectRevert();
        propose(token, hex"");
    }

    function test_a_rehearsal_inside_a_rehearsal_does_nothing() public {
        bytes memory nested = abi.encodeCall(token.rehearse, (act));
        propose(token, nested);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(ISlowActs.Rehearsed.selector);
        accept(token, nested);
        vm.assertTrue(isStopped());
    }

    function test_the_manager_neither_proposes_nor_accepts() public {
        bytes memory proposal = abi.encodeCall(token.propose, (act));
        vm.expectRevert(
            abi.encodeWithSelector(ISlowActs.NotAllowed.selector, address(authority), token.resume.selector)
        );
        vm.prank(admin);
        authority.execute(address(token), proposal);

        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        bytes memory acceptance = abi.encodeCall(token.accept, (act));
        vm.expectRevert(
            abi.encodeWithSelector(ISlowActs.NotAllowed.selector, address(authority), token.resume.selector)
        );
        vm.prank(admin);
        authority.execute(address(token), acceptance);
    }

    function test_a_delay_of_nothing_is_refused() public {
        vm.expectRevert(ISlowActs.NoDelay.selector);
        Minter(create("Minter", abi.encode(authority, token, MINTING_KEY, 0)));
    }
}
