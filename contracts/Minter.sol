// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SlowActs} from "./SlowActs.sol";
import {IMinter} from "./interfaces/IMinter.sol";
import {IOffshoreYuan} from "./interfaces/IOffshoreYuan.sol";
import {Order} from "./types/Order.sol";

/// @title The limits in front of the token's mint
contract Minter is IMinter, SlowActs {
    /// @inheritdoc IMinter
    address public constant WINDOW = address(0);

    /// @dev The marker role of contracts/roles.toml that goes with an open bucket.
    uint64 public immutable MINTING_KEY;

    /// @inheritdoc IMinter
    IOffshoreYuan public immutable token;

    /// @dev One word. `level` is what the bucket held at `settledAt`; `version` counts the changes of its limits.
    struct Bucket {
        uint64 capacity;
        uint64 refill;
        uint64 level;
        uint40 settledAt;
        uint24 version;
    }

    mapping(address key => Bucket) private _buckets;

    constructor(IAccessManager authority_, IOffshoreYuan token_, uint64 mintingKey, uint32 delay)
        SlowActs(authority_, delay)
    {
        token = token_;
        MINTING_KEY = mintingKey;
    }

    // Mint

    /// @inheritdoc IMinter
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external {
        uint256 sum = 0;
        for (uint256 i = 0; i < orders.length; ++i) {
            sum += orders[i].value();
        }
        if (_buckets[msg.sender].capacity == 0 || msg.sender == WINDOW) revert NoBucket(msg.sender);
        _take(msg.sender, sum);
        _take(WINDOW, sum);
        token.mint(first, batchRoot, orders);
    }

    // Powers

    /// @inheritdoc IMinter
    function open(Limit[] calldata limits) external restricted {
        if (_buckets[WINDOW].version != 0) revert AlreadyOpen();
        if (limits.length == 0 || limits[0].key != WINDOW) revert NoWindow();
        for (uint256 i = 0; i < limits.length; ++i) {
            _set(limits[i].key, _buckets[limits[i].key], limits[i].capacity, limits[i].refill);
            _buckets[limits[i].key].level = limits[i].capacity;
        }
    }

    /// @inheritdoc IMinter
    function lower(address key, uint64 capacity, uint64 refill) external {
        // Whoever may raise may lower.
        if (!_isAllowed(msg.sender, this.raise.selector)) _requireAllowed(msg.sender, msg.sig);
        Bucket memory bucket = _settled(key);
        if (bucket.capacity == 0) revert NoBucket(key);
        if (capacity > bucket.capacity || refill > bucket.refill) revert NotLower(capacity, refill);
        _set(key, bucket, capacity, refill);
    }

    // Slow acts

    /// @inheritdoc IMinter
    function raise(address key, uint32 version, uint64 capacity, uint64 refill) external slow {
        Bucket memory bucket = _settled(key);
        if (version != bucket.version) revert OutOfDate();
        bool higher = capacity > bucket.capacity || (capacity == bucket.capacity && refill > bucket.refill);
        if (!higher || refill < bucket.refill) revert NotHigher(capacity, refill);
        _set(key, bucket, capacity, refill);
    }

    // Views

    /// @inheritdoc IMinter
    function bucketOf(address key)
        external
        view
        returns (uint64 capacity, uint64 refill, uint64 available, uint32 version)
    {
        Bucket memory bucket = _settled(key);
        return (bucket.capacity, bucket.refill, bucket.level, bucket.version);
    }

    // Buckets

    function _take(address key, uint256 sum) private {
        Bucket memory bucket = _settled(key);
        if (sum > bucket.level) revert OverLimit(key, bucket.level, sum);
        unchecked {
            bucket.level -= uint64(sum);
        }
        _buckets[key] = bucket;
    }

    /// @dev The bucket as it is now, refilled at the rate that held until now.
    function _settled(address key) private view returns (Bucket memory bucket) {
        bucket = _buckets[key];
        uint256 refilled = uint256(bucket.refill) * (block.timestamp - bucket.settledAt);
        bucket.level = uint64(Math.min(bucket.level + refilled, bucket.capacity));
        bucket.settledAt = uint40(block.timestamp);
    }

    /// @dev Changes the limits of a settled bucket and keeps what it holds, as far as it still fits. A closed bucket does
    /// not refill, and its key loses the marker role.
    function _set(address key, Bucket memory bucket, uint64 capacity, uint64 refill) private {
        bool wasOpen = bucket.capacity != 0;
        bucket.capacity = capacity;
        bucket.refill = capacity == 0 ? 0 : refill;
        bucket.level = uint64(Math.min(bucket.level, capacity));
        bucket.settledAt = uint40(block.timestamp);
        bucket.version += 1;
        _buckets[key] = bucket;
        emit LimitSet(key, capacity, bucket.refill, bucket.version);
        if (key != WINDOW && wasOpen != (capacity != 0)) _mark(key, capacity != 0);
    }

    function _mark(address key, bool isOpen) private {
        if (isOpen) authority.grantRole(MINTING_KEY, key, 0);
        else authority.revokeRole(MINTING_KEY, key);
    }
}
