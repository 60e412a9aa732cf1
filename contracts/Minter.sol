// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {SlowActs} from "./SlowActs.sol";
import {IMinter} from "./interfaces/IMinter.sol";
import {IOffshoreYuan} from "./interfaces/IOffshoreYuan.sol";
import {BucketWord} from "./types/BucketWord.sol";
import {Order} from "./types/Order.sol";

/// @title The limits in front of the token's mint
contract Minter is IMinter, SlowActs {
    /// @inheritdoc IMinter
    address public constant WINDOW = address(0);

    /// @dev The marker role of contracts/roles.toml that goes with an open bucket.
    uint64 public immutable MINTING_KEY;

    /// @inheritdoc IMinter
    IOffshoreYuan public immutable token;

    mapping(address key => BucketWord) private _buckets;

    constructor(IAccessManager authority_, IOffshoreYuan token_, uint64 mintingKey, uint32 delay)
        SlowActs(authority_, delay)
    {
        token = token_;
        MINTING_KEY = mintingKey;
    }

    // Mint

    /// @inheritdoc IMinter
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external {
        // What the token says it has minted is what the buckets lose, or else all of it is undone.
        uint256 sum = token.mint(first, batchRoot, orders);
        _take(msg.sender, sum);
        _take(WINDOW, sum);
    }

    // Powers

    /// @inheritdoc IMinter
    function open(Limit[] calldata limits) external restricted {
        if (_buckets[WINDOW].version() != 0) revert AlreadyOpen();
        if (limits.length == 0 || limits[0].key != WINDOW) revert NoWindow();
        for (uint256 i = 0; i < limits.length; ++i) {
            address key = limits[i].key;
            _set(key, _settled(key), limits[i].capacity, limits[i].refill);
            _buckets[key] = _buckets[key].filled();
        }
    }

    /// @inheritdoc IMinter
    function lower(address key, uint64 capacity, uint64 refill) external {
        // Whoever may raise may lower.
        if (!_isAllowed(msg.sender, this.raise.selector)) _requireAllowed(msg.sender, msg.sig);
        BucketWord bucket = _settled(key);
        if (!bucket.isOpen()) revert NoBucket(key);
        if (capacity > bucket.capacity() || refill > bucket.refill()) revert NotLower(capacity, refill);
        _set(key, bucket, capacity, refill);
    }

    // Slow acts

    /// @inheritdoc IMinter
    function raise(address key, uint32 version, uint64 capacity, uint64 refill) external slow {
        BucketWord bucket = _settled(key);
        if (version != bucket.version()) revert OutOfDate();
        bool lowers = capacity < bucket.capacity() || refill < bucket.refill();
        bool same = capacity == bucket.capacity() && refill == bucket.refill();
        if (lowers || same || capacity == 0) revert NotHigher(capacity, refill);
        _set(key, bucket, capacity, refill);
    }

    // Views

    /// @inheritdoc IMinter
    function bucketOf(address key)
        external
        view
        returns (uint64 capacity, uint64 refill, uint64 available, uint32 version)
    {
        BucketWord bucket = _settled(key);
        return (bucket.capacity(), bucket.refill(), uint64(bucket.level()), bucket.version());
    }

    // Buckets

    function _take(address key, uint256 sum) private {
        BucketWord bucket = _settled(key);
        if (sum > bucket.level()) revert OverLimit(key, bucket.level(), sum);
        _buckets[key] = bucket.taken(sum);
    }

    function _settled(address key) private view returns (BucketWord) {
        return _buckets[key].settled(block.timestamp);
    }

    /// @dev A bucket that opens or closes gives or takes its key's marker role.
    function _set(address key, BucketWord bucket, uint64 capacity, uint64 refill) private {
        BucketWord next = bucket.changed(capacity, refill);
        _buckets[key] = next;
        emit LimitSet(key, next.capacity(), next.refill(), next.version());
        if (key != WINDOW && bucket.isOpen() != next.isOpen()) _mark(key, next.isOpen());
    }

    function _mark(address key, bool isOpen) private {
        if (isOpen) authority.grantRole(MINTING_KEY, key, 0);
        else authority.revokeRole(MINTING_KEY, key);
    }
}
