// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBootstrap} from "../../interfaces/IBootstrap.sol";
import {vm} from "./Vm.sol";

/// @dev contracts/roles.toml, read as its comments say, so that the tests run under the table that is deployed.
contract RolesTable {
    uint256 public constant ROLES = 8;

    string private _text = vm.readFile("contracts/roles.toml");
    /// @dev Read once: each look into the text costs a reading of all of it.
    mapping(bytes32 name => uint64 id) private _ids;

    constructor() {
        for (uint64 i = 0; i < ROLES; ++i) {
            // From 1, so that 0 is an unknown name.
            _ids[keccak256(bytes(_ofRole(i, "name")))] = i + 1;
        }
    }

    function conflicts() external view returns (uint256[] memory sets) {
        sets = new uint256[](ROLES);
        uint256 count = conflictCount();
        for (uint256 i = 0; i < count; ++i) {
            (uint64 left, uint64 right) = conflict(i);
            sets[left] |= 1 << right;
            sets[right] |= 1 << left;
        }
    }

    function conflictCount() public view returns (uint256 count) {
        while (vm.keyExistsToml(_text, _conflictPath(count))) ++count;
    }

    function conflict(uint256 index) public view returns (uint64 left, uint64 right) {
        string[] memory pair = vm.parseTomlStringArray(_text, _conflictPath(index));
        return (idOf(pair[0]), idOf(pair[1]));
    }

    function roles(uint32 delay) external view returns (IBootstrap.Role[] memory found) {
        found = new IBootstrap.Role[](ROLES);
        for (uint256 i = 0; i < ROLES; ++i) {
            found[i] = IBootstrap.Role({
                id: uint64(i),
                admin: idOf(_ofRole(i, "admin")),
                guardian: idOf(_ofRole(i, "guardian")),
                grantDelay: _same(_ofRole(i, "grant_delay"), "delay") ? delay : 0,
                label: _ofRole(i, "name")
            });
        }
    }

    /// @dev The functions of a contract that a role other than ADMIN may call.
    function permissions(string calldata name, address target)
        external
        view
        returns (IBootstrap.Permission[] memory found)
    {
        string memory path = string.concat(".contracts.", name, ".functions");
        string[] memory keys = vm.parseTomlKeys(_text, path);
        found = new IBootstrap.Permission[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes4[] memory selectors = new bytes4[](1);
            selectors[0] = bytes4(keccak256(bytes(keys[i])));
            (bool isRole, uint64 role) = _roleOf(_callerOf(string.concat(path, "['", keys[i], "']")));
            if (!isRole) selectors = new bytes4[](0);
            found[i] = IBootstrap.Permission({target: target, role: role, selectors: selectors});
        }
    }

    function idOf(string memory name) public view returns (uint64) {
        (bool isRole, uint64 role) = _roleOf(name);
        require(isRole, name);
        return role;
    }

    /// @dev The first caller of an entry; of several, the one in the authority's table.
    function _callerOf(string memory path) private view returns (string memory) {
        try vm.parseTomlStringArray(_text, path) returns (string[] memory callers) {
            return callers[0];
        } catch {
            return vm.parseTomlString(_text, path);
        }
    }

    function _conflictPath(uint256 index) private pure returns (string memory) {
        return string.concat(".conflicts[", vm.toString(index), "]");
    }

    function _roleOf(string memory name) private view returns (bool isRole, uint64 role) {
        uint64 id = _ids[keccak256(bytes(name))];
        return id == 0 ? (false, 0) : (true, id - 1);
    }

    function _ofRole(uint256 id, string memory property) private view returns (string memory) {
        return vm.parseTomlString(_text, string.concat(".roles[", vm.toString(id), "].", property));
    }

    function _same(string memory left, string memory right) private pure returns (bool) {
        return keccak256(bytes(left)) == keccak256(bytes(right));
    }
}
