// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountWord, STATUS_SHIFT} from "./AccountWord.sol";

/// @notice What a movement of tokens is checked against, in one storage word.
///
///     bits   0..15   required: status bits that sender, recipient and spender of a transfer must have
///     bits  16..31   forbidden: status bits that none of them may have
///     bits  32..39   stops in force: TRANSFER, MINT, REDEEM
///     bit   40       hooked: there is a hook to ask about transfers between holders
///     bits  41..63   spare, always zero
///     bits  64..95   how often something has been stopped
///     bits  96..255  feed: whose reserve report a mint is checked against
///
/// The hook's address is in a word of its own: a mint needs the feed, and a transfer without a hook needs neither.
type RulesWord is uint256;

uint8 constant STOP_TRANSFER = 1 << 0;
uint8 constant STOP_MINT = 1 << 1;
uint8 constant STOP_REDEEM = 1 << 2;
uint8 constant ALL_STOPS = STOP_TRANSFER | STOP_MINT | STOP_REDEEM;

using {
    required,
    forbidden,
    stops,
    stopCount,
    feed,
    isStopped,
    isHooked,
    allows,
    clears,
    withPolicy,
    stopped,
    resumed,
    withHooked,
    withFeed
} for RulesWord global;

uint256 constant FORBIDDEN_SHIFT = 16;
uint256 constant STOPS_SHIFT = 32;
uint256 constant HOOKED = 1 << 40;
uint256 constant IN_THE_WAY = (uint256(STOP_TRANSFER) << STOPS_SHIFT) | HOOKED;
uint256 constant STOP_COUNT_SHIFT = 64;
uint256 constant FEED_SHIFT = 96;

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

function feed(RulesWord word) pure returns (address) {
    return address(uint160(RulesWord.unwrap(word) >> FEED_SHIFT));
}

function isStopped(RulesWord word, uint8 act) pure returns (bool) {
    return RulesWord.unwrap(word) & (uint256(act) << STOPS_SHIFT) != 0;
}

function isHooked(RulesWord word) pure returns (bool) {
    return RulesWord.unwrap(word) & HOOKED != 0;
}

/// @dev Whether the policy lets an account of this status take part in a transfer.
function allows(RulesWord word, AccountWord account) pure returns (bool) {
    uint256 needed = uint16(RulesWord.unwrap(word));
    uint256 relevant = needed | uint16(RulesWord.unwrap(word) >> FORBIDDEN_SHIFT);
    return (AccountWord.unwrap(account) >> STATUS_SHIFT) & relevant == needed;
}

/// @dev Whether nothing stands against a transfer, in one test of what is true nearly always: the policy lets both sides
/// take part, the sender has the value, and transfers are neither stopped nor hooked.
function clears(RulesWord word, AccountWord sender, AccountWord recipient, uint256 value) pure returns (bool) {
    uint256 rules = RulesWord.unwrap(word);
    uint256 needed = uint16(rules);
    uint256 relevant = needed | uint16(rules >> FORBIDDEN_SHIFT);
    uint256 differs = (AccountWord.unwrap(sender) >> STATUS_SHIFT ^ needed)
        | (AccountWord.unwrap(recipient) >> STATUS_SHIFT ^ needed);
    return (differs & relevant) | (rules & IN_THE_WAY) == 0 && value <= sender.balance();
}

function withPolicy(RulesWord word, uint16 required_, uint16 forbidden_) pure returns (RulesWord) {
    uint256 kept = RulesWord.unwrap(word) & ~uint256(type(uint32).max);
    return RulesWord.wrap(kept | (uint256(forbidden_) << FORBIDDEN_SHIFT) | required_);
}

/// @dev Counts every stop, also of what is stopped already, so that a waiting resume goes out of date.
function stopped(RulesWord word, uint8 stops_) pure returns (RulesWord) {
    uint256 stopped_ = RulesWord.unwrap(word) | (uint256(stops_) << STOPS_SHIFT);
    uint256 kept = stopped_ & ~(uint256(type(uint32).max) << STOP_COUNT_SHIFT);
    return RulesWord.wrap(kept | (uint256(stopCount(word) + 1) << STOP_COUNT_SHIFT));
}

function resumed(RulesWord word, uint8 stops_) pure returns (RulesWord) {
    return RulesWord.wrap(RulesWord.unwrap(word) & ~(uint256(stops_) << STOPS_SHIFT));
}

function withHooked(RulesWord word, bool hooked) pure returns (RulesWord) {
    uint256 kept = RulesWord.unwrap(word) & ~HOOKED;
    return RulesWord.wrap(hooked ? kept | HOOKED : kept);
}

function withFeed(RulesWord word, address feed_) pure returns (RulesWord) {
    uint256 kept = RulesWord.unwrap(word) & ((1 << FEED_SHIFT) - 1);
    return RulesWord.wrap(kept | (uint256(uint160(feed_)) << FEED_SHIFT));
}
