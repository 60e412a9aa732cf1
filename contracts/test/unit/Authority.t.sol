// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Authority} from "../../Authority.sol";
import {Bootstrap} from "../../Bootstrap.sol";
import {Minter} from "../../Minter.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {ReserveFeed} from "../../ReserveFeed.sol";
import {IAuthority} from "../../interfaces/IAuthority.sol";
import {IBootstrap} from "../../interfaces/IBootstrap.sol";
import {IMinter} from "../../interfaces/IMinter.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {IReserveFeed} from "../../interfaces/IReserveFeed.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {create} from "../support/Code.sol";
import {Deployed} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

contract AuthorityTest is Deployed {
    function grant(uint64 role, address account) private {
        vm.prank(admin);
        authority.grantRole(role, account, 0);
    }

    function revoke(address by, uint64 role, address account) private {
        vm.prank(by);
        authority.revoke(role, account);
    }

    function holds(uint64 role, address account) private view returns (bool held) {
        (held,) = authority.hasRole(role, account);
    }

    // Conflict pairs

    function test_no_account_holds_both_roles_of_a_pair() public {
        Authority bare = Authority(create("Authority", abi.encode(address(this), table.conflicts())));
        for (uint256 i = 0; i < table.conflictCount(); ++i) {
            (uint64 left, uint64 right) = table.conflict(i);
            _refuses(bare, left, right, address(uint160(0x1000 + i)));
            _refuses(bare, right, left, address(uint160(0x2000 + i)));
        }
    }

    function _refuses(Authority bare, uint64 first, uint64 second, address account) private {
        bare.grantRole(first, account, 0);
        bytes memory refusal =
            abi.encodeWithSelector(IAuthority.RolesConflict.selector, account, second, uint256(1) << first);
        vm.expectRevert(refusal);
        bare.grantRole(second, account, 0);
        bare.revokeRole(first, account);
        bare.grantRole(second, account, 0);
    }

    function test_roles_outside_a_pair_go_together() public {
        grant(FREEZER, carol);
        grant(REGISTRAR, carol);
        vm.assertEq(authority.rolesOf(carol), (1 << FREEZER) | (1 << REGISTRAR));
    }

    function test_a_role_that_takes_effect_later_conflicts_at_once() public {
        grant(REGISTRAR, carol);
        vm.assertFalse(holds(REGISTRAR, carol));
        vm.expectRevert(
            abi.encodeWithSelector(IAuthority.RolesConflict.selector, carol, GUARDIAN, uint256(1) << REGISTRAR)
        );
        grant(GUARDIAN, carol);
    }

    function test_the_authority_itself_gets_no_role() public {
        for (uint64 role = 0; role < 4; ++role) {
            vm.expectRevert(IAuthority.NoRoleForAuthority.selector);
            grant(role, address(authority));
        }
    }

    function test_roles_are_below_256() public {
        vm.expectRevert(abi.encodeWithSelector(IAuthority.UnknownRole.selector, 256));
        grant(256, carol);
    }

    // The revoker

    function test_the_guardian_revokes_a_hot_key_at_once() public {
        revoke(guardian, FREEZER, freezer);
        vm.assertFalse(holds(FREEZER, freezer));
        vm.assertEq(authority.rolesOf(freezer), 0);
        vm.expectRevert();
        freeze(alice);
    }

    function test_nobody_else_revokes() public {
        address[4] memory others = [admin, registrar, sender, mallory];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, others[i], GUARDIAN)
            );
            revoke(others[i], FREEZER, freezer);
        }
    }

    function test_the_guardian_touches_neither_admin_nor_markers() public {
        vm.expectRevert(abi.encodeWithSelector(IAuthority.NotRevocable.selector, ADMIN));
        revoke(guardian, ADMIN, admin);
        vm.expectRevert(abi.encodeWithSelector(IAuthority.NotRevocable.selector, MINTING_KEY));
        revoke(guardian, MINTING_KEY, sender);
        vm.expectRevert(abi.encodeWithSelector(IAuthority.NotRevocable.selector, ATTESTOR));
        revoke(guardian, ATTESTOR, vm.addr(attestorKeys[0]));
    }

    function test_a_marker_is_not_given_up_and_a_role_is() public {
        vm.expectRevert(abi.encodeWithSelector(IAuthority.NotRevocable.selector, MINTING_KEY));
        vm.prank(sender);
        authority.renounceRole(MINTING_KEY, sender);
        vm.prank(freezer);
        authority.renounceRole(FREEZER, freezer);
        vm.assertFalse(holds(FREEZER, freezer));
    }

    function test_a_marker_is_given_by_its_contract_alone() public {
        uint64 minterRole = table.idOf("MINTER");
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, admin, minterRole)
        );
        grant(MINTING_KEY, carol);
        vm.expectRevert(
            abi.encodeWithSelector(IAuthority.RolesConflict.selector, admin, minterRole, uint256(1) << ADMIN)
        );
        grant(minterRole, admin);
    }

    // Delays

    function test_what_lets_through_waits_and_what_stops_does_not() public {
        grant(REGISTRAR, carol);
        grant(FREEZER, bob);
        grant(GUARDIAN, mallory);
        vm.assertFalse(holds(REGISTRAR, carol));
        vm.assertTrue(holds(FREEZER, bob));
        vm.assertTrue(holds(GUARDIAN, mallory));
        vm.warp(block.timestamp + DELAY);
        vm.assertTrue(holds(REGISTRAR, carol));
    }

    function test_admin_is_handed_over_in_two_steps_with_a_delay() public {
        address next = address(0xAD2);
        grant(ADMIN, next);
        vm.expectRevert();
        vm.prank(next);
        authority.revokeRole(ADMIN, admin);
        vm.warp(block.timestamp + DELAY);
        vm.prank(next);
        authority.revokeRole(ADMIN, admin);
        vm.assertTrue(holds(ADMIN, next));
        vm.assertFalse(holds(ADMIN, admin));
    }

    function test_a_shorter_grant_delay_counts_only_once_the_longer_has_passed() public {
        vm.prank(admin);
        authority.setGrantDelay(REGISTRAR, 0);
        vm.assertEq(authority.getRoleGrantDelay(REGISTRAR), DELAY);
        vm.warp(block.timestamp + DELAY - 1);
        vm.assertEq(authority.getRoleGrantDelay(REGISTRAR), DELAY);
        vm.warp(block.timestamp + 1);
        vm.assertEq(authority.getRoleGrantDelay(REGISTRAR), 0);
    }

    function test_the_table_changes_slowly_and_the_guardian_may_cancel() public {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = token.stop.selector;
        bytes memory change = abi.encodeCall(authority.setTargetFunctionRole, (address(token), selectors, FREEZER));
        vm.prank(admin);
        (bool done,) = address(authority).call(change);
        vm.assertFalse(done);

        vm.prank(admin);
        authority.schedule(address(authority), change, 0);
        vm.prank(guardian);
        authority.cancel(admin, address(authority), change);

        vm.prank(admin);
        authority.schedule(address(authority), change, 0);
        vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCancel.selector);
        vm.prank(mallory);
        authority.cancel(admin, address(authority), change);
        vm.warp(block.timestamp + DELAY);
        vm.prank(admin);
        authority.execute(address(authority), change);
        vm.assertEq(authority.getTargetFunctionRole(address(token), token.stop.selector), FREEZER);
    }

    function test_a_target_cannot_be_closed_so_its_stop_stays() public {
        vm.expectRevert(IAuthority.ClosingRefused.selector);
        vm.prank(admin);
        authority.setTargetClosed(address(token), true);
        vm.assertFalse(authority.isTargetClosed(address(token)));
    }
}

contract BootstrapTest is Deployed {
    function test_it_hands_admin_over_and_keeps_nothing() public view {
        vm.assertEq(authority.rolesOf(address(bootstrap)), 0);
        vm.assertEq(authority.rolesOf(admin), 1 << ADMIN);
        vm.assertEq(authority.rolesOf(deployer), 0);
        vm.assertTrue(bootstrap.done());
    }

    function test_everybody_holds_one_role() public view {
        vm.assertEq(authority.rolesOf(guardian), 1 << GUARDIAN);
        vm.assertEq(authority.rolesOf(registrar), 1 << REGISTRAR);
        vm.assertEq(authority.rolesOf(freezer), 1 << FREEZER);
        vm.assertEq(authority.rolesOf(sender), 1 << MINTING_KEY);
        vm.assertEq(authority.rolesOf(address(minter)), 1 << table.idOf("MINTER"));
        vm.assertEq(authority.rolesOf(address(feed)), 1 << table.idOf("FEED"));
    }

    function test_the_roles_are_described_as_in_the_table() public view {
        IBootstrap.Role[] memory roles = table.roles(DELAY);
        for (uint64 i = 1; i < roles.length; ++i) {
            vm.assertEq(roles[i].id, i);
            vm.assertEq(authority.getRoleAdmin(i), roles[i].admin);
            vm.assertEq(authority.getRoleGuardian(i), roles[i].guardian);
            vm.assertEq(authority.getRoleGrantDelay(i), roles[i].grantDelay);
        }
    }

    function test_the_parts_know_each_other() public view {
        vm.assertEq(token.minter(), address(minter));
        vm.assertEq(token.feed(), address(feed));
        vm.assertEq(feed.token(), address(token));
        vm.assertEq(address(minter.token()), address(token));
        vm.assertEq(token.DELAY(), DELAY);
    }

    function test_the_deployment_says_what_it_sets() public {
        bootstrap = Bootstrap(create("Bootstrap", abi.encode(deployer, admin)));
        authority = Authority(create("Authority", abi.encode(address(bootstrap), table.conflicts())));
        feed = ReserveFeed(create("ReserveFeed", abi.encode(authority, ATTESTOR, DELAY)));
        vm.expectEmit();
        emit IOffshoreYuan.PolicySet(VERIFIED, FROZEN);
        vm.expectEmit();
        emit IOffshoreYuan.ReportAgeSet(0, 1 days);
        vm.expectEmit();
        emit IOffshoreYuan.FeedSet(address(0), address(feed));
        token = OffshoreYuan(create("OffshoreYuan", abi.encode(authority, address(feed), DELAY)));
        minter = Minter(create("Minter", abi.encode(authority, token, MINTING_KEY, DELAY)));
        IBootstrap.Wiring memory plan = wiring();
        address[] memory set = attestors();

        vm.expectEmit(address(authority));
        emit IAccessManager.RoleLabel(GUARDIAN, "GUARDIAN");
        vm.expectEmit(address(feed));
        emit IReserveFeed.Bound(address(token));
        vm.expectEmit(address(feed));
        emit IReserveFeed.AttestorAdded(set[0], 1);
        vm.expectEmit(address(feed));
        emit IReserveFeed.AttestorAdded(set[1], 2);
        vm.expectEmit(address(feed));
        emit IReserveFeed.QuorumSet(2, 3);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.MinterSet(address(0), address(minter));
        vm.expectEmit(address(minter));
        emit IMinter.LimitSet(WINDOW, WINDOW_CAPACITY, WINDOW_REFILL, 1);
        vm.expectEmit(address(minter));
        emit IMinter.LimitSet(sender, CAPACITY, REFILL, 1);
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.Wired(address(authority), address(token), admin);
        vm.prank(deployer);
        bootstrap.run(plan);
    }

    function test_only_the_deployer_runs_it_and_once() public {
        IBootstrap.Wiring memory plan = wiring();
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.NotDeployer.selector, admin));
        vm.prank(admin);
        bootstrap.run(plan);
        vm.expectRevert(IBootstrap.AlreadyRun.selector);
        vm.prank(deployer);
        bootstrap.run(plan);
    }

    function test_an_admin_who_is_also_guardian_is_refused() public {
        Bootstrap other = Bootstrap(create("Bootstrap", abi.encode(deployer, guardian)));
        authority = Authority(create("Authority", abi.encode(address(other), table.conflicts())));
        IBootstrap.Wiring memory plan = wiring();
        vm.expectRevert();
        vm.prank(deployer);
        other.run(plan);
        vm.assertFalse(other.done());
    }
}
