// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Authority} from "../../Authority.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {ReserveFeed} from "../../ReserveFeed.sol";
import {HOOKED} from "../../types/RulesWord.sol";
import {Vm} from "../support/Vm.sol";

/// @dev The cheatcodes of halmos that these proofs use, beside those of Foundry.
interface SymbolicVm is Vm {
    function load(address target, bytes32 slot) external view returns (bytes32);
    function store(address target, bytes32 slot, bytes32 value) external;
    function enableSymbolicStorage(address target) external;
    function createAddress(string calldata name) external returns (address);
    function createBytes32(string calldata name) external returns (bytes32);
    function createCalldata(string calldata contractName) external returns (bytes memory);
}

SymbolicVm constant vm = SymbolicVm(address(uint160(uint256(keccak256("hevm cheat code")))));
SymbolicVm constant svm = SymbolicVm(address(uint160(uint256(keccak256("svm cheat code")))));

/// @dev The token and the feed as they are deployed, in any state at all: every word of their storage is arbitrary, but
/// that the rules are such as {IOffshoreYuan-setPolicy} lets be and name this feed and no hook, which is another
/// contract's code.
abstract contract Symbolic {
    // Words that the constructor writes, so that they are not arbitrary by themselves; {setUp} checks where they are.
    bytes32 private constant RULES = bytes32(uint256(5));
    bytes32 private constant TOTALS = bytes32(uint256(6));
    bytes32 private constant MINTING = bytes32(uint256(7));
    /// @dev A string, left empty: copying one of arbitrary length is a loop without an end.
    bytes32 private constant CONTRACT_URI = bytes32(uint256(10));

    /// @dev A sum that the gate never lets the supply come near.
    uint256 internal constant ROOM = 2 ** 95;

    OffshoreYuan internal token;
    ReserveFeed internal feed;

    function setUp() public {
        vm.warp(1_800_000_000);
        Authority authority = new Authority(address(this), new uint256[](0));
        feed = new ReserveFeed(authority, 5, 1 hours);
        token = new OffshoreYuan(authority, address(feed), 1 hours);
        assert(uint256(vm.load(address(token), RULES)) >> 96 == uint160(address(feed)));
        assert(uint256(vm.load(address(token), TOTALS)) == 1 << 192);
        assert(uint256(vm.load(address(token), MINTING)) == uint256(token.reportAge()) << 160);

        svm.enableSymbolicStorage(address(token));
        svm.enableSymbolicStorage(address(feed));
        uint256 rules = uint256(svm.createBytes32("rules"));
        vm.assume(rules & (rules >> 16) & type(uint16).max == 0 && rules & (1 << 17) != 0 && rules & HOOKED == 0);
        vm.assume(rules >> 96 == uint160(address(feed)));
        vm.store(address(token), RULES, bytes32((uint256(uint160(address(feed))) << 96) | uint96(rules)));
        vm.store(address(token), TOTALS, svm.createBytes32("totals"));
        vm.store(address(token), MINTING, svm.createBytes32("minting"));
        vm.store(address(token), CONTRACT_URI, 0);
    }

    /// @dev What the policy says of an account.
    function allowed(address account) internal view returns (bool) {
        (uint16 required, uint16 forbidden,,,) = token.rules();
        (, uint16 status,) = token.accountOf(account);
        return status & required == required && status & forbidden == 0;
    }

    function transfersStopped() internal view returns (bool) {
        (,, uint8 stops,,) = token.rules();
        return stops & 1 != 0;
    }
}
