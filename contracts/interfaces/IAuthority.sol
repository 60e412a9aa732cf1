// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the authority adds to OpenZeppelin's AccessManager
/// @notice Conflict pairs: two roles of a pair are never held by one account. The pairs are given at deployment and never
/// change. A role whose admin role is not ADMIN is a marker: the contract that holds the admin role gives and takes it, it
/// opens no function, and it is there so that conflicts with it are refused. The guardian may cancel whatever is scheduled.
interface IAuthority {
    /// @notice `account` holds `held`, a set of roles that conflict with `roleId` (bit i is role i).
    error RolesConflict(address account, uint64 roleId, uint256 held);
    /// @notice Role identifiers are below 256.
    error UnknownRole(uint64 roleId);
    /// @notice ADMIN and marker roles are not for the guardian, and a marker is not given up by its holder.
    error NotRevocable(uint64 roleId);
    /// @notice The authority itself gets no role, since anyone's calls through `execute` come from it.
    error NoRoleForAuthority();

    /// @notice Closing a target would also take away the guardian's stop.
    error ClosingRefused();

    /// @notice Takes a role away.
    /// @dev Who: GUARDIAN, at once. Cannot: touch ADMIN nor a marker role (close the bucket or remove the attestor instead).
    function revoke(uint64 roleId, address account) external;

    /// @notice The roles that conflict with a role; bit i is role i.
    function conflictsOf(uint64 roleId) external view returns (uint256 roles);

    /// @notice The roles an account holds or has been promised; bit i is role i.
    function rolesOf(address account) external view returns (uint256 roles);
}
