// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A refilling bucket in one storage word. Amounts in units of 10^-6 CNH, times in seconds since 1970.
///
///     bits   0..63   level: what it held at settledAt
///     bits  64..103  settledAt
///     bits 104..167  refill, units per second
///     bits 168..231  capacity; zero is closed
///     bits 232..255  version: how often its limits were changed
type BucketWord is uint256;

using {level, refill, capacity, version, isOpen, settled, taken, changed, filled} for BucketWord global;

uint256 constant SETTLED_AT_SHIFT = 64;
uint256 constant REFILL_SHIFT = 104;
uint256 constant CAPACITY_SHIFT = 168;
uint256 constant VERSION_SHIFT = 232;

function level(BucketWord word) pure returns (uint256) {
    return uint64(BucketWord.unwrap(word));
}

function refill(BucketWord word) pure returns (uint64) {
    return uint64(BucketWord.unwrap(word) >> REFILL_SHIFT);
}

function capacity(BucketWord word) pure returns (uint64) {
    return uint64(BucketWord.unwrap(word) >> CAPACITY_SHIFT);
}

function version(BucketWord word) pure returns (uint24) {
    return uint24(BucketWord.unwrap(word) >> VERSION_SHIFT);
}

function isOpen(BucketWord word) pure returns (bool) {
    return capacity(word) != 0;
}

/// @dev The bucket at a time, refilled at the rate that held until then. No sum here comes near 2^256.
function settled(BucketWord word, uint256 time) pure returns (BucketWord) {
    unchecked {
        uint256 elapsed = time - uint40(BucketWord.unwrap(word) >> SETTLED_AT_SHIFT);
        uint256 refilled = level(word) + elapsed * refill(word);
        return _withLevel(word, refilled < capacity(word) ? refilled : capacity(word), time);
    }
}

/// @dev The caller has checked that the level covers the value.
function taken(BucketWord word, uint256 value) pure returns (BucketWord) {
    unchecked {
        return BucketWord.wrap(BucketWord.unwrap(word) - value);
    }
}

/// @dev A settled bucket under new limits: it keeps what it holds, as far as that fits. A closed one does not refill.
function changed(BucketWord word, uint64 capacity_, uint64 refill_) pure returns (BucketWord) {
    uint256 kept = level(word) < capacity_ ? level(word) : capacity_;
    uint256 limits = (uint256(capacity_) << CAPACITY_SHIFT) | (capacity_ == 0 ? 0 : uint256(refill_) << REFILL_SHIFT);
    uint256 settledAt = uint40(BucketWord.unwrap(word) >> SETTLED_AT_SHIFT);
    uint256 next = uint256(version(word) + 1) << VERSION_SHIFT;
    return BucketWord.wrap(next | limits | (settledAt << SETTLED_AT_SHIFT) | kept);
}

function filled(BucketWord word) pure returns (BucketWord) {
    return BucketWord.wrap((BucketWord.unwrap(word) & ~uint256(type(uint64).max)) | capacity(word));
}

function _withLevel(BucketWord word, uint256 level_, uint256 time) pure returns (BucketWord) {
    uint256 kept = (BucketWord.unwrap(word) >> REFILL_SHIFT) << REFILL_SHIFT;
    return BucketWord.wrap(kept | (time << SETTLED_AT_SHIFT) | level_);
}
