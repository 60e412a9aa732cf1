// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What every mint changes, in one storage word. Amounts in units of 10^-6 CNH.
///
///     bits   0..95   supply: tokens outstanding
///     bits  96..191  redeemed: everything ever redeemed; with the supply, everything ever minted
///     bits 192..255  the number that the next mint order gets
type TotalsWord is uint256;

using {supply, redeemed, nextNumber, minted, burned} for TotalsWord global;

uint256 constant REDEEMED_SHIFT = 96;
uint256 constant NEXT_NUMBER_SHIFT = 192;

function firstTotals() pure returns (TotalsWord) {
    return TotalsWord.wrap(1 << NEXT_NUMBER_SHIFT);
}

function supply(TotalsWord word) pure returns (uint256) {
    return uint96(TotalsWord.unwrap(word));
}

function redeemed(TotalsWord word) pure returns (uint256) {
    return uint96(TotalsWord.unwrap(word) >> REDEEMED_SHIFT);
}

function nextNumber(TotalsWord word) pure returns (uint64) {
    return uint64(TotalsWord.unwrap(word) >> NEXT_NUMBER_SHIFT);
}

/// @dev The caller has passed the gate, which keeps supply and redeemed below 2^72, and 2^64 orders are never reached.
function minted(TotalsWord word, uint256 value, uint256 count) pure returns (TotalsWord) {
    unchecked {
        return TotalsWord.wrap(TotalsWord.unwrap(word) + value + (count << NEXT_NUMBER_SHIFT));
    }
}

/// @dev The caller has checked that an account holds the value, so the supply covers it.
function burned(TotalsWord word, uint256 value) pure returns (TotalsWord) {
    unchecked {
        return TotalsWord.wrap(TotalsWord.unwrap(word) - value + (value << REDEEMED_SHIFT));
    }
}
