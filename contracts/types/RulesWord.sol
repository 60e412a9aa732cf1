// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What every movement of tokens is checked against, in one storage word.
///
///     bits   0..15   required: status bits that sender, recipient and spender of a transfer must have
///     bits  16..31   forbidden: status bits that none of them may have
///     bits  32..39   stops in force: TRANSFER, MINT, REDEEM
///     bits  40..71   how often something has been stopped
///     bits  72..95   spare, always zero
///     bits  96..255  hook: asked about every holder-to-holder transfer, zero when there is none
type RulesWord is uint256;

uint8 constant STOP_TRANSFER = 1 << 0;
uint8 constant STOP_MINT = 1 << 1;
uint8 constant STOP_REDEEM = 1 << 2;
uint8 constant ALL_STOPS = STOP_TRANSFER | STOP_MINT | STOP_REDEEM;

using {required, forbidden, stops, stopCount, hook, withPolicy, stopped, resumed, withHook} for RulesWord global;

uint256 constant FORBIDDEN_SHIFT = 16;
uint256 constant STOPS_SHIFT = 32;
uint256 constant STOP_COUNT_SHIFT = 40;
uint256 constant HOOK_SHIFT = 96;

function required(RulesWord word) pure returns (uint16) {
    return uint16(RulesWord.unwrap(word));
}

function forbidden(RulesWord word) pure returns (uint16) {
    return uint16(RulesWord.unwrap(word) >> FORBIDDEN_SHIFT);
}

function stops(RulesWord word) pure returns (uint8) {
    return uint8(RulesWord.unwrap(word) >> STOPS_SHIFT);
}

function stopCount(RulesWord word) pure returns (uint32) {
    return uint32(RulesWord.unwrap(word) >> STOP_COUNT_SHIFT);
}

function hook(RulesWord word) pure returns (address) {
    return address(uint160(RulesWord.unwrap(word) >> HOOK_SHIFT));
}

function withPolicy(RulesWord word, uint16 required_, uint16 forbidden_) pure returns (RulesWord) {
    uint256 kept = RulesWord.unwrap(word) & ~uint256(type(uint32).max);
    return RulesWord.wrap(kept | (uint256(forbidden_) << FORBIDDEN_SHIFT) | required_);
}

/// @dev Counts every stop, also of what is stopped already, so that a waiting resume goes out of date.
function stopped(RulesWord word, uint8 stops_) pure returns (RulesWord) {
    uint256 word_ = RulesWord.unwrap(word) | (uint256(stops_) << STOPS_SHIFT);
    return RulesWord.wrap(word_ + (1 << STOP_COUNT_SHIFT));
}

function resumed(RulesWord word, uint8 stops_) pure returns (RulesWord) {
    return RulesWord.wrap(RulesWord.unwrap(word) & ~(uint256(stops_) << STOPS_SHIFT));
}

function withHook(RulesWord word, address hook_) pure returns (RulesWord) {
    uint256 kept = RulesWord.unwrap(word) & ((1 << HOOK_SHIFT) - 1);
    return RulesWord.wrap(kept | (uint256(uint160(hook_)) << HOOK_SHIFT));
}
