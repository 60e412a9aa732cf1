// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BackingWord} from "../../types/BackingWord.sol";
import {Order} from "../../types/Order.sol";
import {Symbolic, vm} from "./Symbolic.sol";

/// @dev For every state, report, caller and batch of one or two orders.
contract MintProof is Symbolic {
    function check_a_mint_is_backed_and_by_the_minter(address caller, uint64 first, bytes32 batchRoot, Order order)
        external
    {
        uint256 supply = token.totalSupply();
        uint256 redeemed = token.redeemed();
        uint256 held = token.balanceOf(order.recipient());
        vm.assume(supply + redeemed < ROOM / 2);
        (, uint16 status,) = token.accountOf(order.recipient());
        (,, uint8 stops,,) = token.rules();

        Order[] memory orders = new Order[](1);
        orders[0] = order;
        vm.prank(caller);
        token.mint(first, batchRoot, orders);

        assert(caller == token.minter() && stops & 2 == 0 && status & 3 == 1);
        uint256 value = order.value();
        _assertBacked(supply + value, redeemed);
        assert(value > 0 && token.redeemed() == redeemed);
        assert(token.balanceOf(order.recipient()) == uint128(held + value));
    }

    function check_a_number_mints_once(
        address caller,
        address again,
        uint64 first,
        bytes32 batchRoot,
        Order one,
        Order two
    ) external {
        vm.assume(token.nextNumber() < type(uint64).max - 2);
        uint64 next = token.nextNumber();
        Order[] memory orders = new Order[](2);
        (orders[0], orders[1]) = (one, two);
        vm.prank(caller);
        token.mint(first, batchRoot, orders);
        assert(first == next && token.nextNumber() == next + 2);

        vm.prank(again);
        try token.mint(first, batchRoot, orders) {
            assert(false);
        } catch {}
    }

    function _assertBacked(uint256 supply, uint256 redeemed) private view {
        BackingWord backing = feed.backing();
        assert(token.totalSupply() == supply);
        assert(backing.paid() <= redeemed);
        assert(supply + redeemed - backing.paid() <= backing.reserve());
        assert(supply + redeemed <= backing.credited());
        assert(block.timestamp <= backing.asOf() + token.reportAge());
    }
}
