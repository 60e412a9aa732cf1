// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SlowActs} from "./SlowActs.sol";
import {IMinter} from "./interfaces/IMinter.sol";
import {IOffshoreYuan} from "./interfaces/IOffshoreYuan.sol";
import {IReserveFeed} from "./interfaces/IReserveFeed.sol";
import {ITransferHook} from "./interfaces/ITransferHook.sol";
import {AccountWord, FROZEN, VERIFIED} from "./types/AccountWord.sol";
import {BackingWord} from "./types/BackingWord.sol";
import {Order} from "./types/Order.sol";
import {ALL_STOPS, RulesWord, STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "./types/RulesWord.sol";

/// @title A fully reserved offshore-yuan token
/// @dev Immutable: what must change over time is a parameter, a role or a hook behind a delay, never code under
/// holders' feet. The gate in {_requireBacked} holds whoever the minter is.
contract OffshoreYuan is IOffshoreYuan, IERC20Errors, SlowActs {
    // Constants

    string public constant name = "Offshore Yuan Sandbox";
    string public constant symbol = "OCNH";
    uint8 public constant decimals = 6;
    /// @inheritdoc IOffshoreYuan
    string public constant currency = "CNH";
    /// @inheritdoc IOffshoreYuan
    uint32 public constant MAX_REPORT_AGE = 7 days;

    uint32 private constant INITIAL_REPORT_AGE = 1 days;
    uint256 private constant UNITS_PER_FEN = 10_000;

    // Storage

    /// @dev Both in units of 10^-6 CNH; their sum is everything ever minted.
    struct Totals {
        uint128 supply;
        uint128 redeemed;
    }

    struct Minting {
        address minter;
        uint64 nextNumber;
        uint32 reportAge;
    }

    mapping(address account => AccountWord) private _accounts;
    mapping(address owner => mapping(address spender => uint256)) private _allowances;
    RulesWord private _rules;
    Totals private _totals;
    Minting private _minting;
    address private _feed;

    constructor(IAccessManager authority_, address feed_, uint32 delay) SlowActs(authority_, delay) {
        _rules = _rules.withPolicy({required_: VERIFIED, forbidden_: FROZEN});
        _minting = Minting({minter: address(0), nextNumber: 1, reportAge: INITIAL_REPORT_AGE});
        _feed = feed_;
        emit PolicySet(VERIFIED, FROZEN);
        emit ReportAgeSet(0, INITIAL_REPORT_AGE);
        emit FeedSet(address(0), feed_);
    }

    // Holders

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, msg.sender, to, value);
        return true;
    }

    /// @inheritdoc IOffshoreYuan
    function transferWithMemo(address to, uint256 value, bytes32 memo) external returns (bool) {
        _move(msg.sender, msg.sender, to, value);
        emit Memo(msg.sender, to, memo, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        _spend(from, value);
        _move(msg.sender, from, to, value);
        return true;
    }

    /// @inheritdoc IOffshoreYuan
    function transferFromWithMemo(address from, address to, uint256 value, bytes32 memo) external returns (bool) {
        _spend(from, value);
        _move(msg.sender, from, to, value);
        emit Memo(from, to, memo, value);
        return true;
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 value) external returns (bool) {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        _allowances[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    /// @inheritdoc IOffshoreYuan
    function redeem(uint256 value, bytes32 instruction) external {
        _redeem(msg.sender, value, instruction);
    }

    // Mint

    /// @inheritdoc IOffshoreYuan
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external {
        Minting memory minting = _minting;
        if (msg.sender != minting.minter) revert NotMinter(msg.sender);
        if (first != minting.nextNumber) revert WrongNumber(first, minting.nextNumber);
        if (orders.length == 0) revert EmptyBatch();
        _requireRunning(_rules, STOP_MINT);

        uint256 sum = 0;
        for (uint256 i = 0; i < orders.length; ++i) {
            sum += _issue(orders[i].recipient(), orders[i].value());
        }
        Totals memory totals = _totals;
        uint256 supply = totals.supply + sum;
        _requireBacked(supply, totals.redeemed, minting.reportAge);

        // The gate keeps the supply below 2^72, and a batch of 2^64 orders does not fit into a block.
        _totals.supply = uint128(supply);
        _minting.nextNumber = first + uint64(orders.length);
        emit Minted(first, uint64(orders.length), batchRoot);
    }

    // Powers

    /// @inheritdoc IOffshoreYuan
    function verify(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            _accounts[accounts[i]] = _accounts[accounts[i]].verified();
            emit Verified(accounts[i]);
        }
    }

    /// @inheritdoc IOffshoreYuan
    function unverify(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            _accounts[accounts[i]] = _accounts[accounts[i]].unverified();
            emit Unverified(accounts[i]);
        }
    }

    /// @inheritdoc IOffshoreYuan
    function freeze(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            AccountWord word = _accounts[accounts[i]].frozen();
            _accounts[accounts[i]] = word;
            emit Frozen(accounts[i], word.freezeCount());
        }
    }

    /// @inheritdoc IOffshoreYuan
    function stop(uint8 stops) external restricted {
        if (stops == 0 || stops > ALL_STOPS) revert InvalidStops(stops);
        RulesWord word = _rules.stopped(stops);
        _rules = word;
        emit Stopped(stops, word.stopCount());
    }

    /// @inheritdoc IOffshoreYuan
    function bind(address minter_) external restricted {
        if (_minting.minter != address(0)) revert AlreadyBound(_minting.minter);
        _setMinter(minter_);
    }

    // Slow acts

    /// @inheritdoc IOffshoreYuan
    function resume(uint8 stops, uint32 stopCount) external slow {
        RulesWord word = _rules;
        if (stops == 0 || stops > ALL_STOPS) revert InvalidStops(stops);
        if (word.stopCount() != stopCount || word.stops() & stops != stops) revert OutOfDate();
        _rules = word.resumed(stops);
        emit Resumed(stops, stopCount);
    }

    /// @inheritdoc IOffshoreYuan
    function unfreeze(address account, uint32 freezeCount) external slow {
        AccountWord word = _accounts[account];
        if (word.freezeCount() != freezeCount || word.status() & FROZEN == 0) revert OutOfDate();
        _accounts[account] = word.unfrozen();
        emit Unfrozen(account, freezeCount);
    }

    /// @inheritdoc IOffshoreYuan
    function setMinter(address current, address next) external slow {
        if (current != _minting.minter) revert OutOfDate();
        _setMinter(next);
    }

    /// @inheritdoc IOffshoreYuan
    function setFeed(address current, address next) external slow {
        if (current != _feed) revert OutOfDate();
        if (IReserveFeed(next).token() != address(this)) revert NotOurs(next);
        _feed = next;
        emit FeedSet(current, next);
    }

    /// @inheritdoc IOffshoreYuan
    function setHook(address current, address next) external slow {
        RulesWord word = _rules;
        if (current != word.hook()) revert OutOfDate();
        if (next != address(0) && next.code.length == 0) revert InvalidHook(next);
        _rules = word.withHook(next);
        emit HookSet(current, next);
    }

    /// @inheritdoc IOffshoreYuan
    function setPolicy(uint16 currentRequired, uint16 currentForbidden, uint16 required, uint16 forbidden)
        external
        slow
    {
        RulesWord word = _rules;
        if (currentRequired != word.required() || currentForbidden != word.forbidden()) revert OutOfDate();
        if (forbidden & FROZEN == 0 || required & forbidden != 0) revert InvalidPolicy(required, forbidden);
        _rules = word.withPolicy(required, forbidden);
        emit PolicySet(required, forbidden);
    }

    /// @inheritdoc IOffshoreYuan
    function setReportAge(uint32 current, uint32 next) external slow {
        if (current != _minting.reportAge) revert OutOfDate();
        if (next == 0 || next > MAX_REPORT_AGE) revert InvalidReportAge(next);
        _minting.reportAge = next;
        emit ReportAgeSet(current, next);
    }

    // Views

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _totals.supply;
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].balance();
    }

    /// @inheritdoc IERC20
    function allowance(address owner, address spender) external view returns (uint256) {
        return _allowances[owner][spender];
    }

    /// @inheritdoc IOffshoreYuan
    function redeemed() external view returns (uint256) {
        return _totals.redeemed;
    }

    /// @inheritdoc IOffshoreYuan
    function liabilities() external view returns (uint256) {
        uint256 paid = IReserveFeed(_feed).backing().paid();
        Totals memory totals = _totals;
        return totals.supply + (totals.redeemed > paid ? totals.redeemed - paid : 0);
    }

    /// @inheritdoc IOffshoreYuan
    function nextNumber() external view returns (uint64) {
        return _minting.nextNumber;
    }

    /// @inheritdoc IOffshoreYuan
    function minter() external view returns (address) {
        return _minting.minter;
    }

    /// @inheritdoc IOffshoreYuan
    function feed() external view returns (address) {
        return _feed;
    }

    /// @inheritdoc IOffshoreYuan
    function reportAge() external view returns (uint32) {
        return _minting.reportAge;
    }

    /// @inheritdoc IOffshoreYuan
    function accountOf(address account) external view returns (uint256 balance, uint16 status, uint32 freezeCount) {
        AccountWord word = _accounts[account];
        return (word.balance(), word.status(), word.freezeCount());
    }

    /// @inheritdoc IOffshoreYuan
    function rules()
        external
        view
        returns (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount, address hook)
    {
        RulesWord word = _rules;
        return (word.required(), word.forbidden(), word.stops(), word.stopCount(), word.hook());
    }

    /// @inheritdoc IOffshoreYuan
    function requireTransfer(address spender, address from, address to, uint256 value) public view {
        if (spender != from) _requireAllowance(from, spender, value);
        _requireMovable(spender, from, to, value);
    }

    /// @inheritdoc IOffshoreYuan
    function canTransfer(address spender, address from, address to, uint256 value)
        external
        view
        returns (bool allowed, bytes memory reason)
    {
        try this.requireTransfer(spender, from, to, value) {
            return (true, "");
        } catch (bytes memory error_) {
            return (false, error_);
        }
    }

    // Effects

    function _move(address spender, address from, address to, uint256 value) private {
        (AccountWord sender, AccountWord recipient) = _requireMovable(spender, from, to, value);
        if (from != to) {
            _accounts[from] = sender.debit(value);
            _accounts[to] = recipient.credit(value);
        }
        emit Transfer(from, to, value);
    }

    /// @dev An allowance of the largest number is not used up.
    function _spend(address owner, uint256 value) private {
        uint256 allowed = _requireAllowance(owner, msg.sender, value);
        if (allowed != type(uint256).max) {
            unchecked {
                _allowances[owner][msg.sender] = allowed - value;
            }
        }
    }

    function _issue(address recipient, uint256 value) private returns (uint256) {
        _requireRecipient(recipient);
        if (value == 0) revert ZeroValue();
        AccountWord word = _accounts[recipient];
        _requireCustomer(recipient, word);
        _accounts[recipient] = word.credit(value);
        emit Transfer(address(0), recipient, value);
        return value;
    }

    function _redeem(address account, uint256 value, bytes32 instruction) private {
        _requireRunning(_rules, STOP_REDEEM);
        AccountWord word = _accounts[account];
        uint256 balance = word.balance();
        _requireCustomer(account, word);
        if (value == 0) revert ZeroValue();
        if (value > balance) revert ERC20InsufficientBalance(account, balance, value);
        if (value % UNITS_PER_FEN != 0 && value != balance) revert FractionOfFen(value);

        _accounts[account] = word.debit(value);
        Totals memory totals = _totals;
        uint256 id = totals.redeemed + value;
        // The supply covers every balance, and both totals stay below 2^72 by the gate.
        unchecked {
            _totals = Totals({supply: totals.supply - uint128(value), redeemed: uint128(id)});
        }
        emit Transfer(account, address(0), value);
        emit Redeemed(account, id, value, instruction);
    }

    function _setMinter(address next) private {
        if (address(IMinter(next).token()) != address(this)) revert NotOurs(next);
        emit MinterSet(_minting.minter, next);
        _minting.minter = next;
    }

    // Checks

    /// @dev The gate. It looks at the sums after the mint, so that it does not matter how they came about: never more
    /// outstanding and owed than the reserve holds, never more minted than was ever put in, and nothing at all while the
    /// bank's own count of payments contradicts ours.
    function _requireBacked(uint256 supply, uint256 redeemed_, uint256 maxAge) private view {
        BackingWord backing = IReserveFeed(_feed).backing();
        if (block.timestamp > backing.asOf() + maxAge) revert ReportTooOld(backing.asOf());
        if (backing.paid() > redeemed_) revert PaidTwice(backing.paid(), redeemed_);
        uint256 minted = supply + redeemed_;
        uint256 owed = minted - backing.paid();
        if (owed > backing.reserve()) revert Unbacked(owed, backing.reserve());
        if (minted > backing.credited()) revert NotCredited(minted, backing.credited());
    }

    function _requireMovable(address spender, address from, address to, uint256 value)
        private
        view
        returns (AccountWord sender, AccountWord recipient)
    {
        RulesWord word = _rules;
        _requireRunning(word, STOP_TRANSFER);
        _requireRecipient(to);
        if (spender != from) _requireStatus(word, spender, _accounts[spender]);
        sender = _accounts[from];
        _requireStatus(word, from, sender);
        if (value > sender.balance()) revert ERC20InsufficientBalance(from, sender.balance(), value);
        recipient = _accounts[to];
        _requireStatus(word, to, recipient);
        if (word.hook() != address(0)) ITransferHook(word.hook()).requireTransfer(spender, from, to, value);
    }

    function _requireAllowance(address owner, address spender, uint256 value) private view returns (uint256 allowed) {
        allowed = _allowances[owner][spender];
        if (allowed < value) revert ERC20InsufficientAllowance(spender, allowed, value);
    }

    function _requireRunning(RulesWord word, uint8 act) private pure {
        if (word.stops() & act != 0) revert ActStopped(act);
    }

    function _requireRecipient(address to) private view {
        if (to == address(0) || to == address(this)) revert ERC20InvalidReceiver(to);
    }

    /// @dev By the policy of the rules word.
    function _requireStatus(RulesWord word, address account, AccountWord accountWord) private pure {
        uint16 status = accountWord.status();
        if (status & (word.required() | word.forbidden()) != word.required()) _refuse(account, status);
    }

    /// @dev Mint and redeem: verified and not frozen, whatever the policy.
    function _requireCustomer(address account, AccountWord word) private pure {
        uint16 status = word.status();
        if (status & (VERIFIED | FROZEN) != VERIFIED) _refuse(account, status);
    }

    function _refuse(address account, uint16 status) private pure {
        if (status & FROZEN != 0) revert AccountFrozen(account);
        if (status & VERIFIED == 0) revert AccountNotVerified(account);
        revert AccountStatusRefused(account, status);
    }
}
