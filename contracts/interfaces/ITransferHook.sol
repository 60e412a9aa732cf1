// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A further rule for transfers between holders
/// @notice Asked by static call, so it can refuse and nothing else. Mint, redeem and seizure do not ask it.
interface ITransferHook {
    /// @notice Reverts, with an error of its own, when the transfer is refused.
    /// @param value Units of 10^-6 CNH.
    function requireTransfer(address from, address to, uint256 value) external view;
}
