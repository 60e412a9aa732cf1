// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IBootstrap} from "./interfaces/IBootstrap.sol";

/// @title The first admin
contract Bootstrap is IBootstrap {
    uint64 private constant ADMIN_ROLE = 0;

    /// @inheritdoc IBootstrap
    address public immutable deployer;
    /// @inheritdoc IBootstrap
    address public immutable admin;
    /// @inheritdoc IBootstrap
    bool public done;

    constructor(address deployer_, address admin_) {
        deployer = deployer_;
        admin = admin_;
    }

    /// @inheritdoc IBootstrap
    function run(Wiring calldata wiring) external {
        if (msg.sender != deployer) revert NotDeployer(msg.sender);
        if (done) revert AlreadyRun();
        done = true;

        _describeRoles(wiring.authority, wiring.roles);
        _grant(wiring.authority, wiring.grants);
        _bind(wiring);
        _permit(wiring.authority, wiring.permissions);
        wiring.authority.grantRole(ADMIN_ROLE, admin, 0);
        // Delays last, so that the grants above take effect at once.
        _delay(wiring);
        wiring.authority.renounceRole(ADMIN_ROLE, address(this));
        emit Wired(address(wiring.authority), address(wiring.token), admin);
    }

    function _describeRoles(IAccessManager authority, Role[] calldata roles) private {
        for (uint256 i = 0; i < roles.length; ++i) {
            Role calldata role = roles[i];
            if (role.id == ADMIN_ROLE) continue; // AccessManager keeps it as its own admin and guardian
            authority.labelRole(role.id, role.label);
            authority.setRoleAdmin(role.id, role.admin);
            authority.setRoleGuardian(role.id, role.guardian);
        }
    }

    function _grant(IAccessManager authority, Grant[] calldata grants) private {
        for (uint256 i = 0; i < grants.length; ++i) {
            authority.grantRole(grants[i].role, grants[i].account, 0);
        }
    }

    function _bind(Wiring calldata wiring) private {
        wiring.feed.bind(address(wiring.token), wiring.attestors, wiring.quorum);
        wiring.token.bind(address(wiring.minter));
        wiring.minter.open(wiring.limits);
    }

    function _permit(IAccessManager authority, Permission[] calldata permissions) private {
        for (uint256 i = 0; i < permissions.length; ++i) {
            authority.setTargetFunctionRole(permissions[i].target, permissions[i].selectors, permissions[i].role);
        }
    }

    function _delay(Wiring calldata wiring) private {
        for (uint256 i = 0; i < wiring.roles.length; ++i) {
            wiring.authority.setGrantDelay(wiring.roles[i].id, wiring.roles[i].grantDelay);
        }
        for (uint256 i = 0; i < wiring.targets.length; ++i) {
            wiring.authority.setTargetAdminDelay(wiring.targets[i], wiring.adminDelay);
        }
    }
}
