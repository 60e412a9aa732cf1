// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAuthority} from "./interfaces/IAuthority.sol";

/// @title Who may call what
/// @dev OpenZeppelin's AccessManager with conflict pairs, an instant revoker, and no setback: a longer grant or admin delay
/// counts from its block, a shorter one once the difference has passed, so that no delay can be cut short by changing it.
contract Authority is IAuthority, AccessManager {
    uint64 private constant ROLES = 256;

    /// @inheritdoc IAuthority
    mapping(uint64 roleId => uint256 roles) public conflictsOf;
    /// @inheritdoc IAuthority
    mapping(address account => uint256 roles) public rolesOf;

    /// @param conflicts For each role, from 0, the set of roles that conflict with it; bit i is role i.
    constructor(address initialAdmin, uint256[] memory conflicts) AccessManager(initialAdmin) {
        for (uint64 roleId = 0; roleId < conflicts.length; ++roleId) {
            conflictsOf[roleId] = conflicts[roleId];
        }
    }

    /// @inheritdoc IAuthority
    function revoke(uint64 roleId, address account) external onlyAuthorized {
        if (roleId == ADMIN_ROLE || _isMarker(roleId)) revert NotRevocable(roleId);
        _revokeRole(roleId, account);
    }

    /// @inheritdoc AccessManager
    function renounceRole(uint64 roleId, address callerConfirmation) public override {
        if (_isMarker(roleId)) revert NotRevocable(roleId);
        super.renounceRole(roleId, callerConfirmation);
    }

    /// @inheritdoc AccessManager
    function setTargetClosed(address, bool) public pure override {
        revert ClosingRefused();
    }

    /// @inheritdoc AccessManager
    function isTargetClosed(address) public pure override returns (bool) {
        return false;
    }

    /// @inheritdoc AccessManager
    function minSetback() public pure override returns (uint32) {
        return 0;
    }

    function _grantRole(uint64 roleId, address account, uint32 grantDelay, uint32 executionDelay)
        internal
        override
        returns (bool)
    {
        if (roleId >= ROLES) revert UnknownRole(roleId);
        if (account == address(this)) revert NoRoleForAuthority();
        uint256 held = rolesOf[account] & conflictsOf[roleId];
        if (held != 0) revert RolesConflict(account, roleId, held);
        rolesOf[account] |= 1 << roleId;
        return super._grantRole(roleId, account, grantDelay, executionDelay);
    }

    function _revokeRole(uint64 roleId, address account) internal override returns (bool) {
        if (roleId < ROLES) rolesOf[account] &= ~(1 << roleId);
        return super._revokeRole(roleId, account);
    }

    /// @dev Whoever may revoke roles at once may also cancel what is scheduled, whatever function it is.
    function _canCancel(address caller, address target, bytes calldata data) internal view override returns (bool) {
        (bool mayRevoke,) = hasRole(getTargetFunctionRole(address(this), this.revoke.selector), _msgSender());
        return mayRevoke || super._canCancel(caller, target, data);
    }

    function _isMarker(uint64 roleId) private view returns (bool) {
        return getRoleAdmin(roleId) != ADMIN_ROLE;
    }
}
