// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Authority} from "../../Authority.sol";
import {Bootstrap} from "../../Bootstrap.sol";
import {Minter} from "../../Minter.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {ReserveFeed} from "../../ReserveFeed.sol";
import {SlowActs} from "../../SlowActs.sol";
import {IBootstrap} from "../../interfaces/IBootstrap.sol";
import {IMinter} from "../../interfaces/IMinter.sol";
import {IReserveFeed} from "../../interfaces/IReserveFeed.sol";
import {Order} from "../../types/Order.sol";
import {create} from "./Code.sol";
import {RolesTable} from "./RolesTable.sol";
import {Vm, vm} from "./Vm.sol";

uint256 constant CNH = 1e6;
uint256 constant FEN = 1e4;

/// @dev The whole system as it is deployed, with a bank and an auditor that sign, and everybody's keys.
abstract contract Deployed {
    uint32 internal constant DELAY = 1 hours;
    uint64 internal constant CAPACITY = uint64(5_000_000 * CNH);
    uint64 internal constant REFILL = uint64(50 * CNH);
    uint64 internal constant WINDOW_CAPACITY = uint64(10_000_000 * CNH);
    uint64 internal constant WINDOW_REFILL = uint64(100 * CNH);
    address internal constant WINDOW = address(0);
    bytes32 internal constant ROOT = keccak256("batch");

    uint64 internal constant ADMIN = 0;
    uint64 internal constant GUARDIAN = 1;
    uint64 internal constant REGISTRAR = 2;
    uint64 internal constant FREEZER = 3;
    uint64 internal constant MINTING_KEY = 4;
    uint64 internal constant ATTESTOR = 5;

    address internal constant deployer = address(0xD0);
    address internal constant admin = address(0xAD);
    address internal constant guardian = address(0x6A);
    address internal constant registrar = address(0x4E);
    address internal constant freezer = address(0xF4);
    address internal constant sender = address(0x5E);
    address internal constant alice = address(0xA11CE);
    address internal constant bob = address(0xB0B);
    address internal constant carol = address(0xCA401);
    /// @dev Not verified, and holds no role.
    address internal constant mallory = address(0x3A110);

    /// @dev Bank and auditor, in ascending order of address.
    uint256[] internal attestorKeys;
    RolesTable internal table;
    Bootstrap internal bootstrap;
    Authority internal authority;
    ReserveFeed internal feed;
    OffshoreYuan internal token;
    Minter internal minter;

    uint64 private _reportNumber;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        attestorKeys.push(0xB4);
        attestorKeys.push(0xA0);
        if (vm.addr(attestorKeys[0]) > vm.addr(attestorKeys[1])) {
            (attestorKeys[0], attestorKeys[1]) = (attestorKeys[1], attestorKeys[0]);
        }
        table = new RolesTable();
        bootstrap = Bootstrap(create("Bootstrap", abi.encode(deployer, admin)));
        authority = Authority(create("Authority", abi.encode(address(bootstrap), table.conflicts())));
        feed = ReserveFeed(create("ReserveFeed", abi.encode(authority, ATTESTOR, DELAY)));
        token = OffshoreYuan(create("OffshoreYuan", abi.encode(authority, address(feed), DELAY)));
        minter = Minter(create("Minter", abi.encode(authority, token, MINTING_KEY, DELAY)));
        IBootstrap.Wiring memory plan = wiring();
        vm.prank(deployer);
        bootstrap.run(plan);

        verify(alice);
        verify(bob);
        verify(carol);
    }

    // The deployment

    function wiring() internal view returns (IBootstrap.Wiring memory plan) {
        plan.authority = authority;
        plan.token = token;
        plan.minter = minter;
        plan.feed = feed;
        plan.roles = table.roles(DELAY);
        plan.grants = _grants();
        plan.permissions = _permissions();
        plan.targets = _targets();
        plan.adminDelay = DELAY;
        plan.limits = _limits();
        plan.attestors = attestors();
        plan.quorum = 2;
    }

    function attestors() internal view returns (address[] memory found) {
        found = new address[](2);
        found[0] = vm.addr(attestorKeys[0]);
        found[1] = vm.addr(attestorKeys[1]);
    }

    function _grants() private view returns (IBootstrap.Grant[] memory grants) {
        grants = new IBootstrap.Grant[](5);
        grants[0] = IBootstrap.Grant(GUARDIAN, guardian);
        grants[1] = IBootstrap.Grant(REGISTRAR, registrar);
        grants[2] = IBootstrap.Grant(FREEZER, freezer);
        grants[3] = IBootstrap.Grant(table.idOf("MINTER"), address(minter));
        grants[4] = IBootstrap.Grant(table.idOf("FEED"), address(feed));
    }

    function _permissions() private view returns (IBootstrap.Permission[] memory all) {
        IBootstrap.Permission[][4] memory parts = [
            table.permissions("OffshoreYuan", address(token)),
            table.permissions("Minter", address(minter)),
            table.permissions("ReserveFeed", address(feed)),
            table.permissions("Authority", address(authority))
        ];
        all = new IBootstrap.Permission[](parts[0].length + parts[1].length + parts[2].length + parts[3].length);
        uint256 next = 0;
        for (uint256 i = 0; i < parts.length; ++i) {
            for (uint256 j = 0; j < parts[i].length; ++j) {
                all[next++] = parts[i][j];
            }
        }
    }

    function _targets() private view returns (address[] memory targets) {
        targets = new address[](4);
        targets[0] = address(token);
        targets[1] = address(minter);
        targets[2] = address(feed);
        targets[3] = address(authority);
    }

    function _limits() private pure returns (IMinter.Limit[] memory limits) {
        limits = new IMinter.Limit[](2);
        limits[0] = IMinter.Limit(WINDOW, WINDOW_CAPACITY, WINDOW_REFILL);
        limits[1] = IMinter.Limit(sender, CAPACITY, REFILL);
    }

    /// @dev A fuzzed number brought into a range.
    function bound(uint256 seed, uint256 min, uint256 max) internal pure returns (uint256) {
        return min + seed % (max - min + 1);
    }

    // What everybody does

    function one(address account) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }

    function verify(address account) internal {
        vm.prank(registrar);
        token.verify(one(account));
    }

    function freeze(address account) internal {
        vm.prank(freezer);
        token.freeze(one(account));
    }

    function stop(uint8 stops) internal {
        vm.prank(guardian);
        token.stop(stops);
    }

    /// @dev A report on this token, as of now, under the next number.
    function report(uint256 reserve, uint256 credited, uint256 paid) internal returns (IReserveFeed.Report memory) {
        return IReserveFeed.Report({
            token: address(token),
            number: ++_reportNumber,
            reserve: reserve,
            paid: paid,
            credited: credited,
            asOf: uint64(block.timestamp),
            logRoot: keccak256(abi.encode(_reportNumber)),
            logSize: _reportNumber
        });
    }

    function sign(IReserveFeed.Report memory message) internal view returns (bytes[] memory signatures) {
        signatures = new bytes[](2);
        signatures[0] = signBy(attestorKeys[0], message);
        signatures[1] = signBy(attestorKeys[1], message);
    }

    function signBy(uint256 key, IReserveFeed.Report memory message) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, feed.digestOf(message));
        return abi.encodePacked(r, s, v);
    }

    /// @dev A second passes, so that as-of times grow.
    function attest(uint256 reserve, uint256 credited, uint256 paid) internal {
        vm.warp(block.timestamp + 1);
        IReserveFeed.Report memory message = report(reserve, credited, paid);
        feed.post(message, sign(message));
    }

    function order(address recipient, uint256 value) internal pure returns (Order) {
        return Order.wrap((uint256(uint160(recipient)) << 96) | value);
    }

    function orders(address recipient, uint256 value) internal pure returns (Order[] memory list) {
        list = new Order[](1);
        list[0] = order(recipient, value);
    }

    /// @dev Straight at the token's gate, as its minter.
    function mint(address recipient, uint256 value) internal {
        uint64 first = token.nextNumber();
        vm.prank(address(minter));
        token.mint(first, ROOT, orders(recipient, value));
    }

    function mintRefused(address recipient, uint256 value, bytes memory refusal) internal {
        uint64 first = token.nextNumber();
        vm.expectRevert(refusal);
        vm.prank(address(minter));
        token.mint(first, ROOT, orders(recipient, value));
    }

    function mintByKey(address recipient, uint256 value) internal {
        uint64 first = token.nextNumber();
        vm.prank(sender);
        minter.mint(first, ROOT, orders(recipient, value));
    }

    /// @dev Money that backs a balance, and the balance.
    function endow(address holder, uint256 value) internal {
        uint256 everMinted = token.totalSupply() + token.redeemed() + value;
        attest(everMinted, everMinted, 0);
        mint(holder, value);
    }

    function propose(SlowActs part, bytes memory act) internal returns (bytes32) {
        vm.prank(admin);
        return part.propose(act);
    }

    function accept(SlowActs part, bytes memory act) internal {
        vm.prank(admin);
        part.accept(act);
    }

    function waitFor(SlowActs part, bytes memory act) internal {
        propose(part, act);
        vm.warp(block.timestamp + DELAY);
    }

    function slowly(SlowActs part, bytes memory act) internal {
        waitFor(part, act);
        accept(part, act);
    }
}
