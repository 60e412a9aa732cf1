// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "./Vm.sol";

/// @dev Makes a contract of this project by its name. The tests carry none of its code, so that they run against whatever
/// has been put in its place: the very bytes that are deployed, or a mutant. Reverts as its constructor does.
function create(string memory name, bytes memory arguments) returns (address made) {
    bytes memory code = bytes.concat(vm.getCode(string.concat(name, ".sol:", name)), arguments);
    assembly ("memory-safe") {
        made := create(0, add(code, 32), mload(code))
        if iszero(made) {
            returndatacopy(0, 0, returndatasize())
            revert(0, returndatasize())
        }
    }
}
