// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Minter} from "../../Minter.sol";
import {IAuthority} from "../../interfaces/IAuthority.sol";
import {IMinter} from "../../interfaces/IMinter.sol";
import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {create} from "../support/Code.sol";
import {CNH, Deployed} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

contract MinterTest is Deployed {
    uint256 private constant PLENTY = 1_000_000_000 * CNH;
    address private constant newKey = address(0x4E7);

    function setUp() public override {
        super.setUp();
        attest(PLENTY, PLENTY, 0);
    }

    function raiseAct(address key, uint32 version, uint64 capacity, uint64 refill) private view returns (bytes memory) {
        return abi.encodeCall(minter.raise, (key, version, capacity, refill));
    }

    function raise(address key, uint64 capacity, uint64 refill) private {
        (,,, uint32 version) = minter.bucketOf(key);
        slowly(minter, raiseAct(key, version, capacity, refill));
    }

    function lower(address by, address key, uint64 capacity, uint64 refill) private {
        vm.prank(by);
        minter.lower(key, capacity, refill);
    }

    function available(address key) private view returns (uint64 held) {
        (,, held,) = minter.bucketOf(key);
    }

    function overLimit(address key, uint256 held, uint256 asked) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMinter.OverLimit.selector, key, held, asked);
    }

    function mintRefusedTo(address key, uint256 value, bytes memory refusal) private {
        uint64 first = token.nextNumber();
        vm.expectRevert(refusal);
        vm.prank(key);
        minter.mint(first, ROOT, orders(alice, value));
    }

    // Taking

    function test_a_mint_takes_out_of_the_keys_bucket_and_the_window() public {
        mintByKey(alice, 1000 * CNH);
        vm.assertEq(token.balanceOf(alice), 1000 * CNH);
        vm.assertEq(available(sender), CAPACITY - 1000 * CNH);
        vm.assertEq(available(WINDOW), WINDOW_CAPACITY - 1000 * CNH);
    }

    function test_a_bucket_of_the_deployment_is_full_and_empties() public {
        mintByKey(alice, CAPACITY);
        mintRefusedTo(sender, 1, overLimit(sender, 0, 1));
        vm.warp(block.timestamp + 10);
        vm.assertEq(available(sender), 10 * REFILL);
        mintRefusedTo(sender, 10 * REFILL + 1, overLimit(sender, 10 * REFILL, 10 * REFILL + 1));
        mintByKey(alice, 10 * REFILL);
    }

    function test_a_bucket_never_holds_more_than_its_capacity() public {
        mintByKey(alice, CNH);
        vm.warp(block.timestamp + 365 days);
        vm.assertEq(available(sender), CAPACITY);
        attest(PLENTY, PLENTY, 0);
        mintRefusedTo(sender, CAPACITY + 1, overLimit(sender, CAPACITY, CAPACITY + 1));
    }

    function test_the_window_bounds_all_keys_together() public {
        raise(newKey, CAPACITY, CAPACITY);
        vm.warp(block.timestamp + 2);
        attest(PLENTY, PLENTY, 0);
        lower(guardian, WINDOW, CAPACITY, 0);
        mintByKey(alice, CAPACITY - 5);
        mintRefusedTo(newKey, 6, overLimit(WINDOW, 5, 6));
    }

    function test_who_has_no_bucket_cannot_mint() public {
        address[5] memory others = [alice, admin, guardian, address(authority), address(minter)];
        for (uint256 i = 0; i < others.length; ++i) {
            mintRefusedTo(others[i], 1, overLimit(others[i], 0, 1));
        }
        uint64 first = token.nextNumber();
        bytes memory call = abi.encodeCall(minter.mint, (first, ROOT, orders(alice, 1)));
        vm.expectRevert(overLimit(address(authority), 0, 1));
        vm.prank(admin);
        authority.execute(address(minter), call);
    }

    function test_the_gate_holds_behind_the_limits() public {
        attest(CNH, CNH, 0);
        uint64 first = token.nextNumber();
        vm.expectRevert();
        vm.prank(sender);
        minter.mint(first, ROOT, orders(alice, CNH + 1));
        vm.assertEq(available(sender), CAPACITY);
    }

    // Opening

    function test_limits_are_opened_once() public {
        IMinter.Limit[] memory limits = new IMinter.Limit[](1);
        limits[0] = IMinter.Limit(WINDOW, 1, 1);
        vm.expectRevert(IMinter.AlreadyOpen.selector);
        vm.prank(admin);
        minter.open(limits);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, sender, minter.open.selector));
        vm.prank(sender);
        minter.open(limits);
    }

    function test_the_window_is_opened_first() public {
        Minter fresh = Minter(create("Minter", abi.encode(authority, token, MINTING_KEY, DELAY)));
        vm.expectRevert(IMinter.NoWindow.selector);
        vm.prank(admin);
        fresh.open(new IMinter.Limit[](0));
        IMinter.Limit[] memory limits = new IMinter.Limit[](1);
        limits[0] = IMinter.Limit(sender, 1, 1);
        vm.expectRevert(IMinter.NoWindow.selector);
        vm.prank(admin);
        fresh.open(limits);
    }

    function test_the_window_is_nobodys_key() public {
        vm.assertEq(authority.rolesOf(WINDOW), 0);
        lower(guardian, WINDOW, 1, 1);
        vm.assertEq(authority.rolesOf(WINDOW), 0);
    }

    // Lowering

    function test_guardian_and_admin_lower_at_once_and_nobody_else_does() public {
        vm.expectEmit(address(minter));
        emit IMinter.LimitSet(sender, CAPACITY / 2, REFILL, 2);
        lower(guardian, sender, CAPACITY / 2, REFILL);
        lower(admin, sender, CAPACITY / 2, REFILL / 2);
        vm.assertEq(available(sender), CAPACITY / 2);
        address[3] memory others = [sender, registrar, mallory];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, others[i], minter.lower.selector));
            lower(others[i], sender, 0, 0);
        }
    }

    function test_lower_never_raises() public {
        vm.expectRevert(abi.encodeWithSelector(IMinter.NotLower.selector, CAPACITY + 1, REFILL));
        lower(guardian, sender, CAPACITY + 1, REFILL);
        vm.expectRevert(abi.encodeWithSelector(IMinter.NotLower.selector, CAPACITY, REFILL + 1));
        lower(guardian, sender, CAPACITY, REFILL + 1);
        vm.expectRevert(abi.encodeWithSelector(IMinter.NoBucket.selector, newKey));
        lower(guardian, newKey, 0, 0);
    }

    function test_a_change_settles_at_the_old_rate() public {
        mintByKey(alice, CAPACITY);
        vm.warp(block.timestamp + 100);
        lower(guardian, sender, CAPACITY, 0);
        vm.warp(block.timestamp + 100);
        vm.assertEq(available(sender), 100 * REFILL);
    }

    function test_closing_takes_the_right_and_the_marker() public {
        (bool marked,) = authority.hasRole(MINTING_KEY, sender);
        vm.assertTrue(marked);
        lower(guardian, sender, 0, REFILL);
        (uint64 capacity, uint64 refill, uint64 held,) = minter.bucketOf(sender);
        vm.assertEq(uint256(capacity) + refill + held, 0);
        (marked,) = authority.hasRole(MINTING_KEY, sender);
        vm.assertFalse(marked);
        vm.warp(block.timestamp + 365 days);
        mintRefusedTo(
            sender, 1, abi.encodeWithSelector(bytes4(keccak256("ReportTooOld(uint256)")), block.timestamp - 365 days)
        );
        attest(PLENTY, PLENTY, 0);
        mintRefusedTo(sender, 1, overLimit(sender, 0, 1));
    }

    function test_a_closed_window_closes_every_key() public {
        lower(guardian, WINDOW, 0, 0);
        mintRefusedTo(sender, 1, overLimit(WINDOW, 0, 1));
    }

    // Raising

    function test_a_raise_does_not_fill_the_bucket() public {
        mintByKey(alice, CAPACITY);
        (,,, uint32 version) = minter.bucketOf(sender);
        propose(minter, raiseAct(sender, version, CAPACITY * 2, REFILL));
        vm.warp(block.timestamp + DELAY);
        accept(minter, raiseAct(sender, version, CAPACITY * 2, REFILL));
        vm.assertEq(available(sender), DELAY * uint256(REFILL));
    }

    function test_a_new_key_starts_empty_and_marked() public {
        vm.expectEmit(address(minter));
        emit IMinter.LimitSet(newKey, CAPACITY, REFILL, 1);
        raise(newKey, CAPACITY, REFILL);
        vm.assertEq(available(newKey), 0);
        (bool marked,) = authority.hasRole(MINTING_KEY, newKey);
        vm.assertTrue(marked);
        mintRefusedTo(newKey, 1, overLimit(newKey, 0, 1));
        vm.warp(block.timestamp + 1);
        vm.prank(newKey);
        minter.mint(1, ROOT, orders(alice, REFILL));
    }

    function test_a_reopened_key_starts_empty() public {
        lower(guardian, sender, 0, 0);
        raise(sender, CAPACITY, REFILL);
        vm.assertEq(available(sender), 0);
    }

    function test_a_raise_raises() public {
        (,,, uint32 version) = minter.bucketOf(sender);
        uint64[2][4] memory wrong =
            [[CAPACITY, REFILL], [CAPACITY - 1, REFILL + 1], [CAPACITY + 1, REFILL - 1], [CAPACITY - 1, REFILL]];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMinter.NotHigher.selector, wrong[i][0], wrong[i][1]));
            propose(minter, raiseAct(sender, version, wrong[i][0], wrong[i][1]));
        }
        propose(minter, raiseAct(sender, version, CAPACITY, REFILL + 1));
    }

    function test_a_refill_without_a_capacity_opens_nothing() public {
        vm.expectRevert(abi.encodeWithSelector(IMinter.NotHigher.selector, 0, 5));
        propose(minter, raiseAct(newKey, 0, 0, 5));
    }

    function test_lowering_makes_a_waiting_raise_go_out_of_date_even_with_the_same_values() public {
        (,,, uint32 version) = minter.bucketOf(sender);
        bytes memory act = raiseAct(sender, version, CAPACITY * 2, REFILL);
        propose(minter, act);
        lower(guardian, sender, CAPACITY, REFILL);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        accept(minter, act);
    }

    function test_a_limit_that_returns_to_its_old_value_does_not_revive_an_old_raise() public {
        (,,, uint32 version) = minter.bucketOf(sender);
        bytes memory act = raiseAct(sender, version, CAPACITY * 2, REFILL);
        propose(minter, act);
        lower(guardian, sender, CAPACITY / 2, REFILL);
        raise(sender, CAPACITY, REFILL);
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        accept(minter, act);
    }

    function test_nobody_raises_in_one_step() public {
        address[3] memory everybody = [admin, guardian, sender];
        for (uint256 i = 0; i < everybody.length; ++i) {
            vm.expectRevert(ISlowActs.OnlyBySlowAct.selector);
            vm.prank(everybody[i]);
            minter.raise(sender, 1, CAPACITY * 2, REFILL);
        }
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, guardian, minter.raise.selector));
        vm.prank(guardian);
        minter.propose(raiseAct(sender, 1, CAPACITY * 2, REFILL));
    }

    function test_no_bucket_for_who_holds_a_conflicting_role() public {
        address[4] memory wrong = [admin, registrar, guardian, vm.addr(attestorKeys[0])];
        uint64[4] memory roles = [ADMIN, REGISTRAR, GUARDIAN, ATTESTOR];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAuthority.RolesConflict.selector, wrong[i], MINTING_KEY, uint256(1) << roles[i])
            );
            propose(minter, raiseAct(wrong[i], 0, CAPACITY, REFILL));
        }
    }

    function test_the_manager_never_gets_a_bucket() public {
        vm.expectRevert(IAuthority.NoRoleForAuthority.selector);
        propose(minter, raiseAct(address(authority), 0, CAPACITY, REFILL));
    }

    // The bound over any window of time

    function testFuzz_no_span_lets_through_more_than_capacity_and_refill(uint256 seed) public {
        uint64 capacity = uint64(bound(seed, 1, CAPACITY));
        uint64 refill = uint64(bound(uint256(keccak256(abi.encode(seed))), 0, REFILL));
        lower(guardian, sender, capacity, refill);
        uint256 start = block.timestamp;
        uint256 taken = 0;
        for (uint256 i = 0; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed, i)));
            vm.warp(block.timestamp + seed % 1 hours);
            uint256 value = seed % (uint256(capacity) + 1);
            if (value == 0 || value > available(sender)) continue;
            mintByKey(alice, value);
            taken += value;
            vm.assertLe(taken, capacity + refill * (block.timestamp - start), "bound of the bucket");
        }
    }
}
