// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

/// @title What a key or a wallet has signed
/// @notice Messages of EIP-712 under one domain, which ERC-5267 tells: name, version, chain and contract.
interface ISignatures is IERC5267 {
    /// @notice The signature is not this account's over this message, neither by ECDSA nor by ERC-1271.
    error SignatureRefused(address signer);

    /// @notice The version of the domain.
    function version() external view returns (string memory);
}
