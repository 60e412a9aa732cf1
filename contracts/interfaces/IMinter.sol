// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOffshoreYuan} from "./IOffshoreYuan.sol";
import {Order} from "../types/Order.sol";

/// @title The limits in front of the token's mint
/// @notice Each minting key has a bucket that refills with time; having one is the right to mint. The window is a bucket
/// above all keys, kept under the zero address. A mint takes its sum out of both. Over any span of time a bucket lets
/// through at most its capacity plus what refills in the span, so at most twice its capacity in the time it takes to fill.
/// A capacity of zero is closed, and there is no value that means unlimited.
interface IMinter {
    /// @param key The minting key, or zero for the window.
    /// @param capacity Units of 10^-6 CNH that a full bucket holds.
    /// @param refill Units that come back per second.
    struct Limit {
        address key;
        uint64 capacity;
        uint64 refill;
    }

    /// @param version Of the bucket after the change.
    event LimitSet(address indexed key, uint64 capacity, uint64 refill, uint32 version);

    error AlreadyOpen();
    /// @notice The first limit of a deployment is the window's.
    error NoWindow();
    error NoBucket(address key);
    /// @notice The bucket holds too little; a key without one has nothing available. `key` is zero for the window.
    error OverLimit(address key, uint256 available, uint256 asked);
    error NotLower(uint64 capacity, uint64 refill);
    error NotHigher(uint64 capacity, uint64 refill);

    /// @notice Mints a batch, see {IOffshoreYuan-mint}.
    /// @dev Who: a key with an open bucket. Cannot: mint more than its bucket and the window hold, nor anything that the
    /// token's own gate refuses.
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external;

    /// @notice Opens the buckets of the deployment, full. The first is the window.
    /// @dev Who: ADMIN, once, which is the bootstrap at deployment. Emits {LimitSet} for each.
    function open(Limit[] calldata limits) external;

    /// @notice Lowers a limit, or with the present values only makes a waiting raise go out of date. Capacity zero closes.
    /// @dev Who: GUARDIAN or ADMIN, at once. Cannot: raise either value. Emits {LimitSet}.
    function lower(address key, uint64 capacity, uint64 refill) external;

    /// @notice Slow act: raises a limit of that version, or opens a bucket, which starts empty.
    /// @dev Who: ADMIN proposes and accepts. Delayed by: DELAY. Cannot: lower either value, fill the bucket, nor open one
    /// for who holds a conflicting role. Emits {LimitSet}.
    function raise(address key, uint32 version, uint64 capacity, uint64 refill) external;

    /// @notice A bucket as it is now: limits, what it holds, and the version that the next raise must name.
    function bucketOf(address key)
        external
        view
        returns (uint64 capacity, uint64 refill, uint64 available, uint32 version);

    function token() external view returns (IOffshoreYuan);

    /// @notice The key under which the window is kept: zero.
    function WINDOW() external view returns (address);
}
