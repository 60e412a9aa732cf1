// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ITransferHook} from "../../interfaces/ITransferHook.sol";
import {vm} from "./Vm.sol";

/// @dev Refuses transfers above a value.
contract CeilingHook is ITransferHook {
    error AboveCeiling(address from, address to, uint256 value);

    uint256 private immutable _ceiling;

    constructor(uint256 ceiling) {
        _ceiling = ceiling;
    }

    function requireTransfer(address from, address to, uint256 value) external view {
        if (value > _ceiling) revert AboveCeiling(from, to, value);
    }
}

/// @dev A wallet that accepts what its one key signed.
contract Wallet is IERC1271 {
    uint256 private immutable _key;

    constructor(uint256 key) {
        _key = key;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key, digest);
        bool valid = keccak256(signature) == keccak256(abi.encodePacked(r, s, v));
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @dev A wallet that accepts everything.
contract Agreeable is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return IERC1271.isValidSignature.selector;
    }
}

/// @dev Says that it is some token's feed or minter.
contract Part {
    address public token;

    constructor(address token_) {
        token = token_;
    }
}
