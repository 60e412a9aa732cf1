// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The figures of the latest reserve report in one word, all that a mint reads. Amounts in units of 10^-6 CNH.
///
///     bits   0..71   reserve: balance of the reserve account
///     bits  72..143  paid: par value of the redemptions the bank has discharged, net of returned payouts
///     bits 144..215  credited: everything ever moved into the reserve for mints, net of what went back
///     bits 216..255  asOf: the time the figures are of, in seconds since 1970; zero before the first report
type BackingWord is uint256;

using {reserve, paid, credited, asOf} for BackingWord global;

uint256 constant PAID_SHIFT = 72;
uint256 constant CREDITED_SHIFT = 144;
uint256 constant AS_OF_SHIFT = 216;

function toBackingWord(uint72 reserve_, uint72 paid_, uint72 credited_, uint40 asOf_) pure returns (BackingWord) {
    return BackingWord.wrap(
        (uint256(asOf_) << AS_OF_SHIFT) | (uint256(credited_) << CREDITED_SHIFT) | (uint256(paid_) << PAID_SHIFT)
            | reserve_
    );
}

function reserve(BackingWord word) pure returns (uint256) {
    return uint72(BackingWord.unwrap(word));
}

function paid(BackingWord word) pure returns (uint256) {
    return uint72(BackingWord.unwrap(word) >> PAID_SHIFT);
}

function credited(BackingWord word) pure returns (uint256) {
    return uint72(BackingWord.unwrap(word) >> CREDITED_SHIFT);
}

function asOf(BackingWord word) pure returns (uint256) {
    return BackingWord.unwrap(word) >> AS_OF_SHIFT;
}
