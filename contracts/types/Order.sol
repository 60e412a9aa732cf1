// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice One order of a mint batch: recipient in the upper 160 bits, value in units of 10^-6 CNH in the lower 96.
type Order is uint256;

using {recipient, value} for Order global;

function recipient(Order order) pure returns (address) {
    return address(uint160(Order.unwrap(order) >> 96));
}

function value(Order order) pure returns (uint256) {
    return uint96(Order.unwrap(order));
}
