// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {FROZEN} from "../../types/AccountWord.sol";
import {vm} from "../support/Vm.sol";
import {World} from "./World.sol";

/// @dev Exposes the parts that the invariants look at.
contract OpenWorld is World {
    function parts() external view returns (OffshoreYuan, address[3] memory) {
        return (token, everybody());
    }
}

contract WorldTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    OpenWorld private world;
    OffshoreYuan private token;
    address[3] private people;

    function setUp() public {
        world = new OpenWorld();
        world.setUp();
        (token, people) = world.parts();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev What Foundry calls; the rest of the handler is not for it.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[25] memory acts = [
            world.wire.selector,
            world.buffer.selector,
            world.sweep.selector,
            world.pay.selector,
            world.attestTruth.selector,
            world.forge.selector,
            world.steal.selector,
            world.transfer.selector,
            world.transferFrom.selector,
            world.redeem.selector,
            world.freezeSomeone.selector,
            world.unfreeze.selector,
            world.stopSomething.selector,
            world.resume.selector,
            world.reverify.selector,
            world.lower.selector,
            world.raise.selector,
            world.wait.selector,
            world.permitAndSpend.selector,
            world.authorize.selector,
            world.impersonate.selector,
            world.cancel.selector,
            world.redeemSigned.selector,
            world.seize.selector,
            world.blunder.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(world), selectors: new bytes4[](acts.length)});
        for (uint256 i = 0; i < acts.length; ++i) {
            targets[0].selectors[i] = acts[i];
        }
    }

    function invariant_the_world_stays_whole() public view {
        _backedByWhatTheBankHolds();
        _balancesSumToTheSupply();
        _frozenBalancesDoNotMove();
        vm.assertEq(token.nextNumber(), world.numbers(), "a number was used twice or left out");
        vm.assertEq(world.successes(World.Action.Forge), 0, "one stolen key attested");
        vm.assertEq(world.successes(World.Action.Impersonate), 0, "moved without the holder's signature");
    }

    function _backedByWhatTheBankHolds() private view {
        uint256 unpaid = token.redeemed() - world.paid();
        vm.assertLe(token.totalSupply() + unpaid, world.reserve(), "unbacked");
        vm.assertLe(token.totalSupply() + token.redeemed(), world.credited(), "minted twice");
    }

    function _balancesSumToTheSupply() private view {
        uint256 sum = 0;
        for (uint256 i = 0; i < people.length; ++i) {
            sum += token.balanceOf(people[i]);
        }
        vm.assertEq(sum, token.totalSupply(), "balances and supply differ");
        vm.assertEq(token.totalSupply() + token.redeemed(), world.minted(), "minted without an order");
    }

    function _frozenBalancesDoNotMove() private view {
        for (uint256 i = 0; i < people.length; ++i) {
            (uint256 balance, uint16 status,) = token.accountOf(people[i]);
            if (status & FROZEN != 0) vm.assertEq(balance, world.frozenBalance(people[i]), "a frozen balance moved");
        }
    }

    /// @dev A run in which nothing is minted, moved, redeemed and paid proves nothing.
    function afterInvariant() public view {
        for (uint256 i = 0; i <= uint256(type(World.Action).max); ++i) {
            if (i == uint256(World.Action.Forge) || i == uint256(World.Action.Impersonate)) continue;
            vm.assertGt(world.successes(World.Action(i)), 0, vm.toString(i));
        }
    }
}
