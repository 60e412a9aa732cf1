// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {Order} from "../../types/Order.sol";
import {ALL_STOPS} from "../../types/RulesWord.sol";
import {CNH, Deployed, FEN} from "../support/Deployed.sol";
import {CeilingHook} from "../support/Doubles.sol";
import {Vm, vm} from "../support/Vm.sol";

contract MovementsTest is Deployed {
    address[4] private people;

    function setUp() public override {
        super.setUp();
        people = [alice, bob, carol, mallory];
        endow(alice, 1000 * CNH);
        endow(bob, 10 * CNH);
    }

    function someone(uint256 seed) private view returns (address) {
        return people[seed % people.length];
    }

    /// @dev Any mixture of statuses, policy, stops and hook.
    function _muddle(uint256 seed) private {
        if (seed & 1 != 0) slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN)));
        if (seed & 6 == 6) {
            CeilingHook hook = new CeilingHook(500 * CNH);
            slowly(token, abi.encodeCall(token.setHook, (address(0), address(hook))));
        }
        if (seed & 24 == 24) stop(uint8(1 + (seed >> 5) % ALL_STOPS));
        if (seed & 768 == 768) freeze(someone(seed >> 10));
        if (seed & 4096 != 0) {
            vm.prank(registrar);
            token.unverify(one(someone(seed >> 13)));
        }
        if (seed & 32768 != 0) verify(mallory);
    }

    /// @dev canTransfer says beforehand what the transfer does, error for error.
    function testFuzz_canTransfer_tells_the_truth(
        uint256 seed,
        uint8 spenderSeed,
        uint8 fromSeed,
        uint8 toSeed,
        uint256 value,
        uint256 allowed
    ) public {
        (address spender, address from) = (someone(spenderSeed), someone(fromSeed));
        address to = toSeed % 8 == 0 ? address(0) : toSeed % 8 == 1 ? address(token) : someone(toSeed);
        value = bound(value, 0, 1100 * CNH);
        vm.prank(from);
        token.approve(spender, bound(allowed, value / 2, 2 * value));
        _muddle(seed);

        (bool can, bytes memory reason) = token.canTransfer(spender, from, to, value);
        bytes memory call = spender == from
            ? abi.encodeCall(token.transfer, (to, value))
            : abi.encodeCall(token.transferFrom, (from, to, value));
        vm.prank(spender);
        (bool did, bytes memory outcome) = address(token).call(call);
        vm.assertTrue(can == did);
        if (!did) vm.assertEq(reason, outcome);
    }

    /// @dev A transfer moves the value between two accounts and touches nothing else.
    function testFuzz_a_transfer_is_the_sum_of_its_deltas(uint8 fromSeed, uint8 toSeed, uint256 value) public {
        (address from, address to) = (someone(fromSeed), someone(toSeed));
        uint256[4] memory before = _balances();
        value = bound(value, 0, token.balanceOf(from));
        vm.prank(from);
        (bool did,) = address(token).call(abi.encodeCall(token.transfer, (to, value)));
        if (!did || from == to) value = 0;
        uint256[4] memory later = _balances();
        for (uint256 i = 0; i < people.length; ++i) {
            uint256 expected = before[i];
            if (people[i] == from) expected -= value;
            if (people[i] == to) expected += value;
            vm.assertEq(later[i], expected);
        }
        vm.assertEq(token.totalSupply(), 1010 * CNH);
    }

    /// @dev A batch mints the sum of its orders, each to its recipient, with an event each.
    function testFuzz_a_batch_is_the_sum_of_its_orders(uint256 seed, uint8 length) public {
        length = uint8(bound(length, 1, 40));
        Order[] memory batch = new Order[](length);
        uint256[3] memory due;
        uint256 sum = 0;
        for (uint256 i = 0; i < length; ++i) {
            uint256 value = 1 + uint256(keccak256(abi.encode(seed, i))) % (100 * CNH);
            uint256 to = uint256(keccak256(abi.encode(i, seed))) % 3;
            batch[i] = order(people[to], value);
            due[to] += value;
            sum += value;
        }
        uint256[4] memory before = _balances();
        uint256 supply = token.totalSupply();
        attest(supply + sum, supply + sum, 0);
        uint64 first = token.nextNumber();
        vm.recordLogs();
        vm.prank(address(minter));
        token.mint(first, ROOT, batch);

        _checkEvents(batch);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(token.balanceOf(people[i]), before[i] + due[i]);
        }
        vm.assertEq(token.totalSupply(), supply + sum);
        vm.assertEq(token.nextNumber(), first + length);
    }

    function _checkEvents(Order[] memory batch) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, batch.length + 1);
        for (uint256 i = 0; i < batch.length; ++i) {
            vm.assertEq(logs[i].topics[0], IERC20.Transfer.selector);
            vm.assertEq(logs[i].topics[2], bytes32(uint256(uint160(batch[i].recipient()))));
            vm.assertEq(abi.decode(logs[i].data, (uint256)), batch[i].value());
        }
    }

    /// @dev Whole fen, or the whole balance; what is refused changes nothing.
    function testFuzz_redemptions_are_whole_fen_or_everything(uint256 dust, uint256 value) public {
        dust = bound(dust, 0, FEN);
        vm.prank(alice);
        token.transfer(bob, dust);
        uint256 balance = token.balanceOf(bob);
        value = value % 3 == 0 ? balance : bound(value, 0, balance + FEN);
        bool expected = value > 0 && value <= balance && (value % FEN == 0 || value == balance);
        vm.prank(bob);
        (bool did,) = address(token).call(abi.encodeCall(token.redeem, (value, ROOT)));
        vm.assertTrue(did == expected);
        vm.assertEq(token.balanceOf(bob), did ? balance - value : balance);
        vm.assertEq(token.redeemed(), did ? value : 0);
        vm.assertEq(token.totalSupply() + token.redeemed(), 1010 * CNH);
    }

    /// @dev The gate is exactly the three inequalities, to the unit, and freshness, to the second.
    function testFuzz_the_gate(
        uint256 reserve,
        uint256 credited,
        uint256 paid,
        uint256 burned,
        uint256 value,
        uint32 age
    ) public {
        burned = bound(burned, 1, 900_00) * FEN;
        vm.prank(alice);
        token.redeem(burned, 0);
        paid = bound(paid, 0, 2 * burned);
        value = bound(value, 1, 100 * CNH);
        uint256 minted = 1010 * CNH + value;
        reserve = bound(reserve, minted - burned - 100 * CNH, minted + 200 * CNH);
        credited = bound(credited, minted - 100 * CNH, minted + 100 * CNH);
        attest(reserve, credited, paid);
        age = uint32(bound(age, 0, 2 days));
        vm.warp(block.timestamp + age);

        bool expected = age <= token.reportAge() && paid <= burned && minted <= credited && minted <= reserve + paid;
        uint64 first = token.nextNumber();
        vm.prank(address(minter));
        (bool did,) = address(token).call(abi.encodeCall(token.mint, (first, ROOT, orders(carol, value))));
        vm.assertTrue(did == expected);
    }

    function _balances() private view returns (uint256[4] memory balances) {
        for (uint256 i = 0; i < people.length; ++i) {
            balances[i] = token.balanceOf(people[i]);
        }
    }
}
