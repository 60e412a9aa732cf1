// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {ALL_STOPS, STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "../../types/RulesWord.sol";
import {create} from "../support/Code.sol";
import {CNH, Deployed} from "../support/Deployed.sol";
import {CeilingHook, Part} from "../support/Doubles.sol";
import {PlainToken} from "../support/Tokens.sol";
import {vm} from "../support/Vm.sol";

/// @dev The one-step powers over the token and its slow acts, one by one.
contract PowersTest is Deployed {
    bytes private outOfDate = abi.encodeWithSelector(ISlowActs.OutOfDate.selector);

    function refused(bytes memory act, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(admin);
        token.propose(act);
    }

    function resume(uint8 stops, uint32 stopCount) private view returns (bytes memory) {
        return abi.encodeCall(token.resume, (stops, stopCount));
    }

    function unfreeze(address account, uint32 freezeCount) private view returns (bytes memory) {
        return abi.encodeCall(token.unfreeze, (account, freezeCount));
    }

    // One step

    function test_each_power_is_its_roles_alone() public {
        bytes[4] memory calls = [
            abi.encodeCall(token.verify, (one(mallory))),
            abi.encodeCall(token.unverify, (one(alice))),
            abi.encodeCall(token.freeze, (one(alice))),
            abi.encodeCall(token.stop, (STOP_MINT))
        ];
        address[4] memory holders = [registrar, registrar, freezer, guardian];
        address[8] memory everybody = [admin, guardian, registrar, freezer, sender, alice, mallory, address(minter)];
        for (uint256 i = 0; i < calls.length; ++i) {
            for (uint256 j = 0; j < everybody.length; ++j) {
                vm.prank(everybody[j]);
                (bool done,) = address(token).call(calls[i]);
                vm.assertTrue(done == (everybody[j] == holders[i]));
            }
        }
    }

    function test_verify_and_unverify_set_and_clear_one_bit() public {
        freeze(mallory);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Verified(mallory);
        verify(mallory);
        (, uint16 status, uint32 freezes) = token.accountOf(mallory);
        vm.assertEq(status, VERIFIED | FROZEN);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Unverified(mallory);
        vm.prank(registrar);
        token.unverify(one(mallory));
        (, status, freezes) = token.accountOf(mallory);
        vm.assertEq(status, FROZEN);
        vm.assertEq(freezes, 1);
    }

    function test_a_list_is_frozen_account_by_account() public {
        endow(alice, CNH);
        address[] memory list = new address[](2);
        list[0] = alice;
        list[1] = bob;
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Frozen(alice, 1);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Frozen(bob, 1);
        vm.prank(freezer);
        token.freeze(list);
        (uint256 balance, uint16 status, uint32 freezes) = token.accountOf(alice);
        vm.assertEq(balance, CNH);
        vm.assertEq(status, VERIFIED | FROZEN);
        vm.assertEq(freezes, 1);
    }

    function test_freezing_again_counts_again() public {
        freeze(alice);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Frozen(alice, 2);
        freeze(alice);
    }

    function test_stops_add_up_and_are_counted() public {
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Stopped(STOP_MINT, 1);
        stop(STOP_MINT);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Stopped(STOP_TRANSFER, 2);
        stop(STOP_TRANSFER);
        (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount, address hook) = token.rules();
        vm.assertEq(stops, STOP_MINT | STOP_TRANSFER);
        vm.assertEq(stopCount, 2);
        vm.assertEq(required, VERIFIED);
        vm.assertEq(forbidden, FROZEN);
        vm.assertEq(hook, address(0));
        vm.assertEq(token.feed(), address(feed));
    }

    function test_a_stop_names_something_to_stop() public {
        uint8[3] memory wrong = [0, ALL_STOPS + 1, 255];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.InvalidStops.selector, wrong[i]));
            stop(wrong[i]);
        }
    }

    function test_the_minter_is_bound_once() public {
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AlreadyBound.selector, address(minter)));
        vm.prank(admin);
        token.bind(address(minter));
    }

    function test_the_first_minter_is_not_named_by_just_anyone() public {
        OffshoreYuan fresh = OffshoreYuan(create("OffshoreYuan", abi.encode(authority, address(feed), DELAY)));
        address its = address(new Part(address(fresh)));
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, mallory, fresh.bind.selector));
        vm.prank(mallory);
        fresh.bind(its);
        vm.prank(admin);
        fresh.bind(its);
        vm.assertEq(fresh.minter(), its);
    }

    // Slow acts

    function test_resume_lifts_the_stops_it_names() public {
        stop(ALL_STOPS);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Resumed(STOP_MINT | STOP_REDEEM, 1);
        slowly(token, resume(STOP_MINT | STOP_REDEEM, 1));
        (,, uint8 stops, uint32 stopCount,) = token.rules();
        vm.assertEq(stops, STOP_TRANSFER);
        vm.assertEq(stopCount, 1);
        slowly(token, resume(STOP_TRANSFER, 1));
        (,, stops,,) = token.rules();
        vm.assertEq(stops, 0);
    }

    function test_resume_names_what_is_stopped_now() public {
        refused(resume(STOP_MINT, 0), outOfDate);
        stop(STOP_MINT);
        refused(resume(STOP_MINT, 0), outOfDate);
        refused(resume(STOP_MINT, 2), outOfDate);
        refused(resume(STOP_MINT | STOP_REDEEM, 1), outOfDate);
        refused(resume(0, 1), abi.encodeWithSelector(IOffshoreYuan.InvalidStops.selector, 0));
        refused(resume(255, 1), abi.encodeWithSelector(IOffshoreYuan.InvalidStops.selector, 255));
    }

    function test_stopping_again_makes_a_waiting_resume_go_out_of_date() public {
        stop(STOP_MINT);
        propose(token, resume(STOP_MINT, 1));
        stop(STOP_MINT);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(outOfDate);
        accept(token, resume(STOP_MINT, 1));
    }

    function test_unfreeze_lifts_the_freeze_it_names() public {
        endow(alice, CNH);
        freeze(alice);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Unfrozen(alice, 1);
        slowly(token, unfreeze(alice, 1));
        (uint256 balance, uint16 status, uint32 freezes) = token.accountOf(alice);
        vm.assertEq(balance, CNH);
        vm.assertEq(status, VERIFIED);
        vm.assertEq(freezes, 1);
        refused(unfreeze(alice, 1), outOfDate);
    }

    function test_freezing_again_makes_a_waiting_unfreeze_go_out_of_date() public {
        freeze(alice);
        propose(token, unfreeze(alice, 1));
        freeze(alice);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(outOfDate);
        accept(token, unfreeze(alice, 1));
    }

    function test_unfreeze_names_a_freeze_in_force() public {
        refused(unfreeze(alice, 0), outOfDate);
        freeze(alice);
        refused(unfreeze(alice, 0), outOfDate);
        refused(unfreeze(alice, 2), outOfDate);
    }

    function test_the_zero_address_and_the_token_stay_frozen() public {
        address[2] memory never = [address(0), address(token)];
        for (uint256 i = 0; i < never.length; ++i) {
            (, uint16 status, uint32 freezes) = token.accountOf(never[i]);
            vm.assertEq(status, FROZEN);
            refused(
                unfreeze(never[i], freezes),
                abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, never[i])
            );
        }
    }

    function test_the_minter_is_replaced_by_one_of_this_token() public {
        Part next = new Part(address(token));
        bytes memory act = abi.encodeCall(token.setMinter, (address(minter), address(next)));
        waitFor(token, act);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.MinterSet(address(minter), address(next));
        accept(token, act);
        vm.assertEq(token.minter(), address(next));
        attest(CNH, CNH, 0);
        mintRefused(alice, CNH, abi.encodeWithSelector(IOffshoreYuan.NotMinter.selector, address(minter)));
    }

    function test_the_feed_is_replaced_by_one_of_this_token() public {
        Part next = new Part(address(token));
        stop(STOP_REDEEM);
        bytes memory act = abi.encodeCall(token.setFeed, (address(feed), address(next)));
        waitFor(token, act);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.FeedSet(address(feed), address(next));
        accept(token, act);
        vm.assertEq(token.feed(), address(next));
        (,, uint8 stops, uint32 stopCount,) = token.rules();
        vm.assertEq(stops, STOP_REDEEM);
        vm.assertEq(stopCount, 1);
    }

    function test_a_part_of_another_token_is_refused() public {
        Part other = new Part(alice);
        bytes memory refusal = abi.encodeWithSelector(IOffshoreYuan.NotOurs.selector, address(other));
        refused(abi.encodeCall(token.setMinter, (address(minter), address(other))), refusal);
        refused(abi.encodeCall(token.setFeed, (address(feed), address(other))), refusal);
    }

    function test_a_part_that_is_no_contract_is_refused() public {
        refused(
            abi.encodeCall(token.setMinter, (address(minter), alice)),
            abi.encodeWithSelector(Errors.FailedCall.selector)
        );
        refused(
            abi.encodeCall(token.setFeed, (address(feed), address(0))),
            abi.encodeWithSelector(Errors.FailedCall.selector)
        );
        refused(
            abi.encodeCall(token.setHook, (address(0), alice)),
            abi.encodeWithSelector(IOffshoreYuan.InvalidHook.selector, alice)
        );
    }

    function test_the_hook_is_set_and_removed() public {
        CeilingHook hook = new CeilingHook(0);
        bytes memory act = abi.encodeCall(token.setHook, (address(0), address(hook)));
        waitFor(token, act);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.HookSet(address(0), address(hook));
        accept(token, act);
        (,,,, address found) = token.rules();
        vm.assertEq(found, address(hook));
        slowly(token, abi.encodeCall(token.setHook, (address(hook), address(0))));
        (,,,, found) = token.rules();
        vm.assertEq(found, address(0));
    }

    function test_settings_name_the_present_ones() public {
        refused(abi.encodeCall(token.setMinter, (alice, address(minter))), outOfDate);
        refused(abi.encodeCall(token.setFeed, (alice, address(feed))), outOfDate);
        refused(abi.encodeCall(token.setHook, (alice, address(0))), outOfDate);
        refused(abi.encodeCall(token.setPolicy, (0, FROZEN, 0, FROZEN)), outOfDate);
        refused(abi.encodeCall(token.setPolicy, (VERIFIED, 0, 0, FROZEN)), outOfDate);
        refused(abi.encodeCall(token.setReportAge, (1 hours, 1 hours)), outOfDate);
    }

    function test_a_policy_never_lets_the_frozen_through() public {
        refused(
            abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, VERIFIED, 0)),
            abi.encodeWithSelector(IOffshoreYuan.InvalidPolicy.selector, VERIFIED, 0)
        );
        refused(
            abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, FROZEN, FROZEN)),
            abi.encodeWithSelector(IOffshoreYuan.InvalidPolicy.selector, FROZEN, FROZEN)
        );
    }

    function test_a_policy_keeps_the_rest_of_the_rules() public {
        stop(STOP_MINT);
        bytes memory act = abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 8, FROZEN | 4));
        waitFor(token, act);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.PolicySet(8, FROZEN | 4);
        accept(token, act);
        (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount,) = token.rules();
        vm.assertEq(required, 8);
        vm.assertEq(forbidden, FROZEN | 4);
        vm.assertEq(stops, STOP_MINT);
        vm.assertEq(stopCount, 1);
        vm.assertEq(token.feed(), address(feed));
    }

    function test_the_report_age_cannot_be_switched_off() public {
        uint32[3] memory wrong = [0, token.MAX_REPORT_AGE() + 1, type(uint32).max];
        for (uint256 i = 0; i < wrong.length; ++i) {
            refused(
                abi.encodeCall(token.setReportAge, (1 days, wrong[i])),
                abi.encodeWithSelector(IOffshoreYuan.InvalidReportAge.selector, wrong[i])
            );
        }
        bytes memory act = abi.encodeCall(token.setReportAge, (1 days, 7 days));
        waitFor(token, act);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.ReportAgeSet(1 days, 7 days);
        accept(token, act);
        vm.assertEq(token.reportAge(), 7 days);
        vm.assertEq(token.minter(), address(minter));
    }

    function test_no_slow_act_is_done_directly() public {
        bytes[12] memory acts = [
            resume(STOP_MINT, 1),
            unfreeze(alice, 1),
            abi.encodeCall(token.setMinter, (address(minter), address(minter))),
            abi.encodeCall(token.setFeed, (address(feed), address(feed))),
            abi.encodeCall(token.setHook, (address(0), address(0))),
            abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, VERIFIED, FROZEN)),
            abi.encodeCall(token.setReportAge, (1 days, 1 hours)),
            abi.encodeCall(token.seize, (alice, CNH, CNH, "case")),
            abi.encodeCall(token.retire, (address(feed))),
            abi.encodeCall(token.setContractURI, (keccak256(bytes(token.contractURI())), "papers")),
            abi.encodeCall(token.rescue, (IERC20(address(new PlainToken())), bob, 0)),
            abi.encodeCall(token.rehearse, (resume(STOP_MINT, 1)))
        ];
        endow(alice, CNH);
        stop(STOP_MINT);
        freeze(alice);
        for (uint256 i = 0; i < acts.length; ++i) {
            vm.prank(admin);
            (bool done, bytes memory refusal) = address(token).call(acts[i]);
            vm.assertFalse(done);
            vm.assertEq(refusal, abi.encodeWithSelector(ISlowActs.OnlyBySlowAct.selector));
            // Nor through the manager, although ADMIN may call anything there that nobody else may.
            vm.expectRevert(abi.encodeWithSelector(ISlowActs.OnlyBySlowAct.selector));
            vm.prank(admin);
            authority.execute(address(token), acts[i]);
        }
    }
}
