// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IMinter} from "./IMinter.sol";
import {IOffshoreYuan} from "./IOffshoreYuan.sol";
import {IReserveFeed} from "./IReserveFeed.sol";

/// @title The first admin
/// @notice Wires the table of contracts/roles.toml, binds the parts, opens the first limits, hands ADMIN over and
/// renounces, in one transaction, after which it can do nothing.
interface IBootstrap {
    /// @notice The functions of one contract that one role may call.
    struct Permission {
        address target;
        uint64 role;
        bytes4[] selectors;
    }

    /// @param grantDelay Seconds before a later grant of the role takes effect.
    struct Role {
        uint64 id;
        uint64 admin;
        uint64 guardian;
        uint32 grantDelay;
        string label;
    }

    struct Grant {
        uint64 role;
        address account;
    }

    /// @param targets Contracts whose permissions ADMIN may change only after `adminDelay` seconds.
    struct Wiring {
        IAccessManager authority;
        IOffshoreYuan token;
        IMinter minter;
        IReserveFeed feed;
        Role[] roles;
        Grant[] grants;
        Permission[] permissions;
        address[] targets;
        uint32 adminDelay;
        IMinter.Limit[] limits;
        address[] attestors;
        uint8 quorum;
    }

    event Wired(address indexed authority, address indexed token, address indexed admin);

    error NotDeployer(address caller);
    error AlreadyRun();

    /// @notice Wires everything.
    /// @dev Who: the deployer given at construction, once. Cannot: name another admin, nor be repeated.
    function run(Wiring calldata wiring) external;

    function deployer() external view returns (address);

    function admin() external view returns (address);

    function done() external view returns (bool);
}
