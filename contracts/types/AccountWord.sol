// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An account in one storage word, so that the checks of a transfer read nothing that the transfer does not
/// read anyway.
///
///     bits   0..127  balance, in units of 10^-6 CNH
///     bits 128..143  status: bit 0 VERIFIED, bit 1 FROZEN, the others spare
///     bits 144..175  how often the account has been frozen
///     bits 176..255  spare, always zero
type AccountWord is uint256;

uint16 constant VERIFIED = 1 << 0;
uint16 constant FROZEN = 1 << 1;

using {
    balance,
    status,
    freezeCount,
    isCustomer,
    credit,
    debit,
    verified,
    unverified,
    frozen,
    unfrozen
} for AccountWord global;

uint256 constant STATUS_SHIFT = 128;
uint256 constant FREEZE_COUNT_SHIFT = 144;

function balance(AccountWord word) pure returns (uint256) {
    return uint128(AccountWord.unwrap(word));
}

function status(AccountWord word) pure returns (uint16) {
    return uint16(AccountWord.unwrap(word) >> STATUS_SHIFT);
}

function freezeCount(AccountWord word) pure returns (uint32) {
    return uint32(AccountWord.unwrap(word) >> FREEZE_COUNT_SHIFT);
}

/// @dev Verified and not frozen: what mint and redeem need, whatever the policy of transfers.
function isCustomer(AccountWord word) pure returns (bool) {
    return AccountWord.unwrap(word) & (uint256(VERIFIED | FROZEN) << STATUS_SHIFT) == uint256(VERIFIED) << STATUS_SHIFT;
}

/// @dev The balance cannot run over into the status: the gate keeps the sum of all balances below 2^72.
function credit(AccountWord word, uint256 value) pure returns (AccountWord) {
    unchecked {
        return AccountWord.wrap(AccountWord.unwrap(word) + value);
    }
}

/// @dev The caller has checked that the balance covers the value.
function debit(AccountWord word, uint256 value) pure returns (AccountWord) {
    unchecked {
        return AccountWord.wrap(AccountWord.unwrap(word) - value);
    }
}

function verified(AccountWord word) pure returns (AccountWord) {
    return AccountWord.wrap(AccountWord.unwrap(word) | (uint256(VERIFIED) << STATUS_SHIFT));
}

function unverified(AccountWord word) pure returns (AccountWord) {
    return AccountWord.wrap(AccountWord.unwrap(word) & ~(uint256(VERIFIED) << STATUS_SHIFT));
}

/// @dev Counts every freeze, also of an account that is frozen already, so that a waiting unfreeze goes out of date.
function frozen(AccountWord word) pure returns (AccountWord) {
    uint256 marked = AccountWord.unwrap(word) | (uint256(FROZEN) << STATUS_SHIFT);
    uint256 kept = marked & ~(uint256(type(uint32).max) << FREEZE_COUNT_SHIFT);
    return AccountWord.wrap(kept | (uint256(freezeCount(word) + 1) << FREEZE_COUNT_SHIFT));
}

function unfrozen(AccountWord word) pure returns (AccountWord) {
    return AccountWord.wrap(AccountWord.unwrap(word) & ~(uint256(FROZEN) << STATUS_SHIFT));
}
