// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Symbolic, vm} from "./Symbolic.sol";

/// @dev For every state, caller, recipient, bystander and value.
contract MovementsProof is Symbolic {
    struct Seen {
        uint256 from;
        uint256 to;
        uint256 bystander;
        uint256 supply;
        uint256 redeemed;
        uint256 allowance;
    }

    function check_transfer_moves_the_value_and_nothing_else(address from, address to, address other, uint256 value)
        external
    {
        vm.assume(other != from && other != to);
        Seen memory before = _seen(from, from, to, other);
        vm.assume(before.from + before.to < ROOM);
        bool mayMove = allowed(from) && allowed(to) && !transfersStopped() && value <= before.from;

        vm.prank(from);
        try token.transfer(to, value) returns (bool done) {
            assert(done && mayMove);
            _assertMoved(before, _seen(from, from, to, other), from == to ? 0 : value);
        } catch {
            assert(!mayMove);
        }
    }

    function check_transferFrom_moves_what_was_allowed(
        address spender,
        address from,
        address to,
        address other,
        uint256 value
    ) external {
        vm.assume(other != from && other != to);
        Seen memory before = _seen(spender, from, to, other);
        vm.assume(before.from + before.to < ROOM);
        bool mayMove = allowed(spender) && allowed(from) && allowed(to) && !transfersStopped() && value <= before.from
            && value <= before.allowance;

        vm.prank(spender);
        try token.transferFrom(from, to, value) returns (bool done) {
            assert(done && mayMove);
            Seen memory later = _seen(spender, from, to, other);
            _assertMoved(before, later, from == to ? 0 : value);
            bool endless = before.allowance == type(uint256).max;
            assert(later.allowance == (endless ? before.allowance : before.allowance - value));
        } catch {
            assert(!mayMove);
        }
    }

    function check_redeem_burns_the_holders_own(address holder, address other, uint256 value, bytes32 instruction)
        external
    {
        vm.assume(other != holder);
        Seen memory before = _seen(holder, holder, holder, other);
        vm.assume(before.from <= before.supply);
        vm.assume(before.supply + before.redeemed < ROOM);
        (, uint16 status,) = token.accountOf(holder);

        vm.prank(holder);
        token.redeem(value, instruction);
        Seen memory later = _seen(holder, holder, holder, other);
        assert(status & 3 == 1 && value > 0 && value <= before.from);
        assert(later.from == before.from - value && later.supply == before.supply - value);
        assert(later.redeemed == before.redeemed + value && later.bystander == before.bystander);
    }

    function _seen(address spender, address from, address to, address other) private view returns (Seen memory) {
        return Seen({
            from: token.balanceOf(from),
            to: token.balanceOf(to),
            bystander: token.balanceOf(other),
            supply: token.totalSupply(),
            redeemed: token.redeemed(),
            allowance: token.allowance(from, spender)
        });
    }

    function _assertMoved(Seen memory before, Seen memory later, uint256 value) private pure {
        assert(later.from == before.from - value);
        assert(later.to == before.to + value || value == 0);
        assert(later.bystander == before.bystander);
        assert(later.supply == before.supply && later.redeemed == before.redeemed);
    }
}
