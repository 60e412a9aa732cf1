// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReserveFeed} from "../../interfaces/IReserveFeed.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {BackingWord} from "../../types/BackingWord.sol";
import {ALL_STOPS} from "../../types/RulesWord.sol";
import {CNH, FEN} from "../support/Deployed.sol";
import {Signing} from "../support/Signing.sol";
import {vm} from "../support/Vm.sol";

/// @dev Everybody at once: customers, a bank with real money, a thief of the minting key, a thief of one attestor's key
/// and a clumsy admin. What they do may fail; what succeeds is counted. Each act names the one account whose balance it may
/// lower, if any.
contract World is Signing {
    enum Action {
        Wire,
        Buffer,
        Sweep,
        Pay,
        Attest,
        Forge,
        Mint,
        Transfer,
        TransferFrom,
        Redeem,
        Freeze,
        Unfreeze,
        Stop,
        Resume,
        Lower,
        Raise,
        Verify,
        Permit,
        Authorize,
        Cancel,
        RedeemSigned,
        Impersonate,
        Seize,
        Blunder
    }

    /// @dev What everybody begins with.
    uint256 private constant START = 10_000 * CNH;

    /// @dev What the bank really holds and did.
    uint256 public reserve;
    uint256 public credited;
    uint256 public paid;

    uint256 public minted;
    uint256 public numbers = 1;
    mapping(Action action => uint256) public successes;
    /// @dev What an account held when it was frozen.
    mapping(address account => uint256) public frozenBalance;

    uint256[3] private keys = [uint256(0xA1), 0xB2, 0xC3];
    address[3] private people;
    bytes[] private waiting;
    uint256 private nonce;

    /// @dev Nobody's balance falls but the named one's.
    modifier onlyFrom(address who) {
        uint256[3] memory before = _balances();
        _;
        uint256[3] memory later = _balances();
        for (uint256 i = 0; i < 3; ++i) {
            require(people[i] == who || later[i] >= before[i], "a balance fell that nobody touched");
        }
    }

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < 3; ++i) {
            people[i] = vm.addr(keys[i]);
            verify(people[i]);
            (reserve, credited) = (reserve + START, credited + START);
            attest(reserve, credited, paid);
            mintByKey(people[i], START);
            (minted, numbers) = (minted + START, numbers + 1);
        }
    }

    function everybody() public view returns (address[3] memory) {
        return people;
    }

    // The bank

    function wire(uint256 value) external {
        value = bound(value, 1, 50_000 * CNH);
        reserve += value;
        credited += value;
        ++successes[Action.Wire];
    }

    function buffer(uint256 value) external {
        reserve += bound(value, 1, 1000 * CNH);
        ++successes[Action.Buffer];
    }

    /// @dev Only what no mint could ever need, since older reports may still be used.
    function sweep(uint256 value) external {
        uint256 needed = credited - paid;
        if (reserve <= needed) return;
        reserve -= bound(value, 1, reserve - needed);
        ++successes[Action.Sweep];
    }

    function pay(uint256 value) external {
        uint256 owed = token.redeemed() - paid;
        if (owed == 0) return;
        value = bound(value, 1, owed);
        reserve -= value;
        paid += value;
        ++successes[Action.Pay];
    }

    function attestTruth() external {
        attest(reserve, credited, paid);
        ++successes[Action.Attest];
    }

    // Thieves

    /// @dev One stolen key signs alone, twice, or beside a stranger; none of it may pass.
    function forge(uint256 seed) external onlyFrom(address(0)) {
        vm.warp(block.timestamp + 1);
        IReserveFeed.Report memory message = report(reserve + 1e12, credited + 1e12, paid);
        uint256 stolen = attestorKeys[seed % 2];
        bytes[] memory signatures = new bytes[](1 + seed % 3);
        for (uint256 i = 0; i < signatures.length; ++i) {
            signatures[i] = signBy(i == 0 || seed % 5 == 0 ? stolen : 0xBAD + i, message);
        }
        if (_did(address(this), address(feed), abi.encodeCall(feed.post, (message, signatures)))) {
            ++successes[Action.Forge];
        }
    }

    /// @dev The minting key is in a thief's hands: any value, any recipient, any number, with the bank's latest report or without.
    function steal(uint256 to, uint256 value, uint256 number) external onlyFrom(address(0)) {
        if (to % 4 != 0) attest(reserve, credited, paid);
        uint64 first = number % 8 == 0 ? uint64(number) : token.nextNumber();
        address recipient = to % 5 == 0 ? mallory : people[to % 3];
        value = bound(value, 1, 20_000 * CNH);
        bytes memory call = abi.encodeCall(minter.mint, (first, ROOT, orders(recipient, value)));
        if (!_did(sender, address(minter), call)) return;
        require(first == numbers, "a number minted twice or was left out");
        minted += value;
        numbers += 1;
        _requireGate();
        ++successes[Action.Mint];
    }

    /// @dev The three inequalities, written from the report and not from the code.
    function _requireGate() private view {
        BackingWord backing = feed.backing();
        uint256 ever = token.totalSupply() + token.redeemed();
        require(ever <= backing.reserve() + backing.paid(), "more owed than the reserve holds");
        require(ever <= backing.credited(), "more minted than was credited");
        require(backing.paid() <= token.redeemed(), "more paid than was redeemed");
        require(block.timestamp <= backing.asOf() + token.reportAge(), "the report is too old");
        require(_stops() & 2 == 0, "minted while stopped");
    }

    // Customers, who ask for what they have: stops, freezes and the policy refuse it, and nothing else does

    function transfer(uint256 from, uint256 to, uint256 value) external onlyFrom(people[from % 3]) {
        value = bound(value, 0, token.balanceOf(people[from % 3]));
        bytes memory call = abi.encodeCall(token.transfer, (people[to % 3], value));
        bool done = _did(people[from % 3], address(token), call);
        require(done == _mayTransfer(from, from, to), "a transfer did not end as the rules say");
        if (done) ++successes[Action.Transfer];
    }

    function transferFrom(uint256 spender, uint256 from, uint256 to, uint256 value)
        external
        onlyFrom(people[from % 3])
    {
        value = bound(value, 0, token.balanceOf(people[from % 3]));
        vm.prank(people[from % 3]);
        token.approve(people[spender % 3], value);
        bytes memory call = abi.encodeCall(token.transferFrom, (people[from % 3], people[to % 3], value));
        bool done = _did(people[spender % 3], address(token), call);
        require(done == _mayTransfer(spender, from, to), "a transfer from did not end as the rules say");
        if (done) ++successes[Action.TransferFrom];
    }

    function redeem(uint256 from, uint256 value) external onlyFrom(people[from % 3]) {
        value = bound(value, 0, token.balanceOf(people[from % 3]) / FEN) * FEN;
        bool done = _did(people[from % 3], address(token), abi.encodeCall(token.redeem, (value, ROOT)));
        require(done == (value > 0 && _mayRedeem(from)), "a redemption did not end as the rules say");
        if (done) ++successes[Action.Redeem];
    }

    // Signatures, submitted by a stranger

    function permitAndSpend(uint256 from, uint256 to, uint256 value) external onlyFrom(people[from % 3]) {
        address owner = people[from % 3];
        value = bound(value, 0, token.balanceOf(owner));
        bytes32 hash = digest(abi.encode(PERMIT, owner, people[to % 3], value, token.nonces(owner), FOREVER));
        vm.prank(mallory);
        token.permit(owner, people[to % 3], value, FOREVER, signed(keys[from % 3], hash));
        bytes memory call = abi.encodeCall(token.transferFrom, (owner, people[to % 3], value));
        bool done = _did(people[to % 3], address(token), call);
        require(done == _mayTransfer(to, from, to), "a permitted transfer did not end as the rules say");
        if (done) ++successes[Action.Permit];
    }

    function authorize(uint256 from, uint256 to, uint256 value) external onlyFrom(people[from % 3]) {
        value = bound(value, 0, token.balanceOf(people[from % 3]));
        bytes32 unused = bytes32(++nonce);
        bool done = _transferred(people[from % 3], people[to % 3], value, unused, keys[from % 3]);
        require(done == _mayTransfer(from, from, to), "an authorized transfer did not end as the rules say");
        if (!done) return;
        require(!_transferred(people[from % 3], people[to % 3], 0, unused, keys[from % 3]), "authorized twice");
        ++successes[Action.Authorize];
    }

    /// @dev Signed by a stranger, or by another holder.
    function impersonate(uint256 from, uint256 to, uint256 value, bool insider) external onlyFrom(address(0)) {
        value = bound(value, 0, token.balanceOf(people[from % 3]));
        bytes32 unused = bytes32(++nonce);
        uint256 key = insider ? keys[(from % 3 + 1) % 3] : 0xBAD;
        if (_transferred(people[from % 3], people[to % 3], value, unused, key)) ++successes[Action.Impersonate];
    }

    function cancel(uint256 who) external onlyFrom(address(0)) {
        address account = people[who % 3];
        bytes32 unused = bytes32(++nonce);
        bytes32 hash = digest(abi.encode(CANCEL, account, unused));
        vm.prank(mallory);
        token.cancelAuthorization(account, unused, signed(keys[who % 3], hash));
        require(!_transferred(account, people[(who % 3 + 1) % 3], 0, unused, keys[who % 3]), "cancelled and used");
        ++successes[Action.Cancel];
    }

    function redeemSigned(uint256 from, uint256 value) external onlyFrom(people[from % 3]) {
        address account = people[from % 3];
        value = bound(value, 0, token.balanceOf(account) / FEN) * FEN;
        bytes32 unused = bytes32(++nonce);
        bytes memory signature =
            signed(keys[from % 3], digest(abi.encode(REDEEM, account, value, ROOT, FOREVER, unused)));
        bytes memory call = abi.encodeWithSelector(
            token.redeemWithAuthorization.selector, account, value, ROOT, FOREVER, unused, signature
        );
        bool done = _did(mallory, address(token), call);
        require(done == (value > 0 && _mayRedeem(from)), "a signed redemption did not end as the rules say");
        if (done) ++successes[Action.RedeemSigned];
    }

    function _transferred(address from, address to, uint256 value, bytes32 unused, uint256 key) private returns (bool) {
        bytes32 hash = digest(abi.encode(TRANSFER, from, to, value, 0, FOREVER, unused));
        bytes memory call = abi.encodeWithSignature(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            from,
            to,
            value,
            0,
            FOREVER,
            unused,
            signed(key, hash)
        );
        return _did(mallory, address(token), call);
    }

    // Powers

    /// @dev A case orders it; it needs a frozen account and nothing else. Some are frozen for the case alone.
    function seize(uint256 who, uint256 value) external onlyFrom(_suspect(who)) {
        address account = _suspect(who);
        (uint256 balance, uint16 status, uint32 freezes) = token.accountOf(account);
        if (who % 2 != 0 || balance < FEN) return;
        bool wasFrozen = status & FROZEN != 0;
        bool forTheCase = !wasFrozen && who % 4 == 0;
        if (forTheCase) _freeze(account);
        bool seized = _seize(account, balance, bound(value, 1, balance / FEN) * FEN);
        require(seized == (wasFrozen || forTheCase), "a seizure did not end as the rules say");
        if (forTheCase) slowly(token, abi.encodeCall(token.unfreeze, (account, freezes + 1)));
    }

    function _seize(address account, uint256 balance, uint256 value) private returns (bool proposed) {
        bytes memory act = abi.encodeCall(token.seize, (account, balance, value, ROOT));
        proposed = _did(admin, address(token), abi.encodeCall(token.propose, (act)));
        if (!proposed) return false;
        vm.warp(block.timestamp + DELAY);
        accept(token, act);
        frozenBalance[account] -= value;
        ++successes[Action.Seize];
    }

    /// @dev Somebody frozen who holds something, if there is one.
    function _suspect(uint256 who) private view returns (address) {
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 balance, uint16 status,) = token.accountOf(people[i]);
            if (status & FROZEN != 0 && balance >= FEN) return people[i];
        }
        return people[who % 3];
    }

    /// @dev The clumsy admin sets whatever the token lets him set; but he does not retire it, after which nothing happens.
    function blunder(uint256 seed, address part) external onlyFrom(address(0)) {
        (uint16 required, uint16 forbidden,,,) = token.rules();
        bytes[4] memory acts = [
            abi.encodeCall(token.setReportAge, (token.reportAge(), uint32(bound(seed, 0, 8 days)))),
            abi.encodeCall(token.setPolicy, (required, forbidden, uint16(seed >> 8) & 1, FROZEN)),
            abi.encodeCall(token.setMinter, (token.minter(), part)),
            abi.encodeCall(token.setFeed, (token.feed(), part))
        ];
        bytes memory act = acts[seed % 4];
        if (!_did(admin, address(token), abi.encodeCall(token.propose, (act)))) return;
        vm.warp(block.timestamp + DELAY);
        accept(token, act);
        ++successes[Action.Blunder];
        _mend();
    }

    /// @dev Feed and minter both name this token, so either can be put in the other's place, where nothing can be minted.
    function _mend() private {
        if (token.minter() != address(minter)) {
            slowly(token, abi.encodeCall(token.setMinter, (token.minter(), address(minter))));
        }
        if (token.feed() != address(feed)) {
            slowly(token, abi.encodeCall(token.setFeed, (token.feed(), address(feed))));
        }
    }

    function freezeSomeone(uint256 who) external onlyFrom(address(0)) {
        if (who % 4 == 0) _freeze(people[who % 3]);
    }

    function _freeze(address account) private {
        frozenBalance[account] = token.balanceOf(account);
        freeze(account);
        ++successes[Action.Freeze];
    }

    function unfreeze(uint256 who) external {
        (, uint16 status, uint32 freezes) = token.accountOf(people[who % 3]);
        if (status & FROZEN == 0) return;
        slowly(token, abi.encodeCall(token.unfreeze, (people[who % 3], freezes)));
        ++successes[Action.Unfreeze];
    }

    function stopSomething(uint256 what) external {
        if (what % 5 != 0) return;
        stop(uint8(bound(what, 1, ALL_STOPS)));
        ++successes[Action.Stop];
    }

    function resume() external {
        (,, uint8 stops, uint32 count,) = token.rules();
        if (stops == 0) return;
        slowly(token, abi.encodeCall(token.resume, (stops, count)));
        ++successes[Action.Resume];
    }

    function reverify(uint256 who) external {
        vm.prank(registrar);
        if (who % 7 == 0) token.unverify(one(people[who % 3]));
        else token.verify(one(people[who % 3]));
        ++successes[Action.Verify];
    }

    function lower(uint256 seed) external {
        address key = seed % 2 == 0 ? sender : WINDOW;
        (uint64 capacity, uint64 refill,,) = minter.bucketOf(key);
        // A world that mints no more shows nothing more.
        if (capacity < 100_000 * CNH) return;
        vm.prank(guardian);
        minter.lower(key, uint64(bound(seed, capacity / 2, capacity)), refill);
        ++successes[Action.Lower];
    }

    /// @dev The clumsy admin proposes anything, and accepts old proposals at any time.
    function raise(uint256 seed, uint256 anything) external {
        address key = seed % 2 == 0 ? sender : WINDOW;
        (uint64 capacity, uint64 refill,, uint32 version) = minter.bucketOf(key);
        uint64 next = uint64(bound(anything, capacity / 2, uint256(capacity) * 3));
        bytes memory act = abi.encodeCall(minter.raise, (key, version, next, refill));
        if (_did(admin, address(minter), abi.encodeCall(minter.propose, (act)))) waiting.push(act);
        if (seed % 3 == 0 || waiting.length == 0) return;
        vm.warp(block.timestamp + DELAY);
        bytes memory acceptance =
            abi.encodeCall(minter.accept, (waiting[seed % 5 == 0 ? seed % waiting.length : waiting.length - 1]));
        if (_did(admin, address(minter), acceptance)) ++successes[Action.Raise];
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 8 hours));
    }

    function _balances() private view returns (uint256[3] memory balances) {
        for (uint256 i = 0; i < 3; ++i) {
            balances[i] = token.balanceOf(people[i]);
        }
    }

    function _mayTransfer(uint256 spender, uint256 from, uint256 to) private view returns (bool) {
        return _stops() & 1 == 0 && _allowed(spender) && _allowed(from) && _allowed(to);
    }

    function _mayRedeem(uint256 from) private view returns (bool) {
        (, uint16 status,) = token.accountOf(people[from % 3]);
        return _stops() & 4 == 0 && status == VERIFIED;
    }

    function _allowed(uint256 who) private view returns (bool) {
        (uint16 required, uint16 forbidden,,,) = token.rules();
        (, uint16 status,) = token.accountOf(people[who % 3]);
        return status & required == required && status & forbidden == 0;
    }

    function _stops() private view returns (uint8 stops) {
        (,, stops,,) = token.rules();
    }

    function _did(address by, address target, bytes memory call) private returns (bool done) {
        vm.prank(by);
        (done,) = target.call(call);
    }
}
