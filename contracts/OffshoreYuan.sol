// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Authorizations} from "./Authorizations.sol";
import {SlowActs} from "./SlowActs.sol";
import {IMinter} from "./interfaces/IMinter.sol";
import {IOffshoreYuan} from "./interfaces/IOffshoreYuan.sol";
import {IReserveFeed} from "./interfaces/IReserveFeed.sol";
import {ITransferHook} from "./interfaces/ITransferHook.sol";
import {AccountWord, FROZEN, VERIFIED} from "./types/AccountWord.sol";
import {BackingWord} from "./types/BackingWord.sol";
import {Order} from "./types/Order.sol";
import {ALL_STOPS, RulesWord, STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "./types/RulesWord.sol";
import {TotalsWord, firstTotals} from "./types/TotalsWord.sol";

/// @title A fully reserved offshore-yuan token
/// @dev Immutable: what must change over time is a parameter, a role or a hook behind a delay, never code under
/// holders' feet. The gate in {_requireBacked} holds whoever the minter is.
contract OffshoreYuan is IOffshoreYuan, IERC20Errors, SlowActs, Authorizations {
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
    string private constant SANDBOX_URI =
        'data:application/json;utf8,{"name":"Offshore Yuan Sandbox","licence":"SANDBOX","whitePaper":"SANDBOX","terms":"SANDBOX"}';

    // Storage

    struct Minting {
        address minter;
        uint32 reportAge;
    }

    struct Account {
        AccountWord word;
    }

    /// @dev Structs of one word: a place that is read and written is found once.
    struct Allowance {
        uint256 value;
    }

    mapping(address account => Account) private _accounts;
    mapping(address owner => mapping(address spender => Allowance)) private _allowances;
    RulesWord private _rules;
    TotalsWord private _totals;
    Minting private _minting;
    /// @dev Read only when the rules word says that there is one.
    ITransferHook private _hook;
    /// @inheritdoc IOffshoreYuan
    address public successor;
    string private _contractURI;

    constructor(IAccessManager authority_, address feed_, uint32 delay) SlowActs(authority_, delay) {
        _rules = _rules.withPolicy({required_: VERIFIED, forbidden_: FROZEN}).withFeed(feed_);
        _totals = firstTotals();
        _minting.reportAge = INITIAL_REPORT_AGE;
        // Nothing goes to the zero address or to the token: both are frozen from the first block, and stay so.
        _accounts[address(0)].word = _accounts[address(0)].word.frozen();
        _accounts[address(this)].word = _accounts[address(this)].word.frozen();
        emit PolicySet(VERIFIED, FROZEN);
        emit ReportAgeSet(0, INITIAL_REPORT_AGE);
        emit FeedSet(address(0), feed_);
    }

    // Holders

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) public returns (bool) {
        _move(_rules, msg.sender, to, value);
        return true;
    }

    /// @inheritdoc IOffshoreYuan
    function transferWithMemo(address to, uint256 value, bytes32 memo) external returns (bool) {
        transfer(to, value);
        emit Memo(msg.sender, to, memo, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) public returns (bool) {
        RulesWord word = _rules;
        AccountWord spender = _accounts[msg.sender].word;
        if (!word.allows(spender)) _refuse(msg.sender, spender.status());
        Allowance storage allowance_ = _allowances[from][msg.sender];
        uint256 allowed = allowance_.value;
        if (allowed < value) revert ERC20InsufficientAllowance(msg.sender, allowed, value);
        // The largest number is an allowance that is not used up.
        if (allowed != type(uint256).max) {
            unchecked {
                allowance_.value = allowed - value;
            }
        }
        _move(word, from, to, value);
        return true;
    }

    /// @inheritdoc IOffshoreYuan
    function transferFromWithMemo(address from, address to, uint256 value, bytes32 memo) external returns (bool) {
        transferFrom(from, to, value);
        emit Memo(from, to, memo, value);
        return true;
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 value) external returns (bool) {
        bytes32 topic = IERC20.Approval.selector;
        bytes4 refusal = ERC20InvalidSpender.selector;
        // {_approve} for the caller, for 180 gas less.
        assembly ("memory-safe") {
            if iszero(spender) {
                mstore(0x00, refusal)
                mstore(0x04, spender)
                revert(0x00, 0x24)
            }
            mstore(0x00, caller())
            mstore(0x20, _allowances.slot)
            mstore(0x20, keccak256(0x00, 0x40))
            mstore(0x00, spender)
            sstore(keccak256(0x00, 0x40), value)
            mstore(0x00, value)
            log3(0x00, 0x20, topic, caller(), spender)
            mstore(0x00, true)
            return(0x00, 0x20)
        }
    }

    /// @inheritdoc IOffshoreYuan
    function redeem(uint256 value, bytes32 instruction) external {
        _redeem(msg.sender, value, instruction);
    }

    // Mint

    /// @inheritdoc IOffshoreYuan
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external returns (uint256 sum) {
        Minting memory minting = _minting;
        TotalsWord totals = _totals;
        RulesWord word = _rules;
        if (msg.sender != minting.minter) revert NotMinter(msg.sender);
        if (first != totals.nextNumber()) revert WrongNumber(first, totals.nextNumber());
        if (orders.length == 0) revert EmptyBatch();
        if (word.isStopped(STOP_MINT)) revert ActStopped(STOP_MINT);

        for (uint256 i = 0; i < orders.length; ++i) {
            unchecked {
                sum += _issue(orders[i]);
            }
        }
        _requireBacked(word.feed(), totals.supply() + sum, totals.redeemed(), minting.reportAge);
        _totals = totals.minted(sum, orders.length);
        emit Minted(first, uint64(orders.length), batchRoot);
    }

    // Powers

    /// @inheritdoc IOffshoreYuan
    function verify(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            Account storage account = _accounts[accounts[i]];
            account.word = account.word.verified();
            emit Verified(accounts[i]);
        }
    }

    /// @inheritdoc IOffshoreYuan
    function unverify(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            Account storage account = _accounts[accounts[i]];
            account.word = account.word.unverified();
            emit Unverified(accounts[i]);
        }
    }

    /// @inheritdoc IOffshoreYuan
    function freeze(address[] calldata accounts) external restricted {
        for (uint256 i = 0; i < accounts.length; ++i) {
            Account storage account = _accounts[accounts[i]];
            AccountWord word = account.word.frozen();
            account.word = word;
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
        if (stops & STOP_MINT != 0 && successor != address(0)) revert AlreadyRetired(successor);
        _rules = word.resumed(stops);
        emit Resumed(stops, stopCount);
    }

    /// @inheritdoc IOffshoreYuan
    function unfreeze(address account, uint32 freezeCount) external slow {
        AccountWord word = _accounts[account].word;
        if (account == address(0) || account == address(this)) revert ERC20InvalidReceiver(account);
        if (word.freezeCount() != freezeCount || word.status() & FROZEN == 0) revert OutOfDate();
        _accounts[account].word = word.unfrozen();
        emit Unfrozen(account, freezeCount);
    }

    /// @inheritdoc IOffshoreYuan
    function seize(address account, uint256 balance, uint256 value, bytes32 caseId) external slow {
        AccountWord word = _accounts[account].word;
        if (word.status() & FROZEN == 0) revert NotFrozen(account);
        if (word.balance() != balance) revert OutOfDate();
        if (caseId == 0) revert NoCase();
        emit Seized(account, _burn(account, word, value, caseId), value, caseId);
    }

    /// @inheritdoc IOffshoreYuan
    function retire(address next) external slow {
        if (successor != address(0)) revert AlreadyRetired(successor);
        if (next == address(this) || next.code.length == 0) revert InvalidSuccessor(next);
        successor = next;
        RulesWord word = _rules.stopped(STOP_MINT);
        _rules = word;
        emit Stopped(STOP_MINT, word.stopCount());
        emit Retired(next);
    }

    /// @inheritdoc IOffshoreYuan
    function setMinter(address current, address next) external slow {
        if (current != _minting.minter) revert OutOfDate();
        _setMinter(next);
    }

    /// @inheritdoc IOffshoreYuan
    function setFeed(address current, address next) external slow {
        RulesWord word = _rules;
        if (current != word.feed()) revert OutOfDate();
        if (IReserveFeed(next).token() != address(this)) revert NotOurs(next);
        _rules = word.withFeed(next);
        emit FeedSet(current, next);
    }

    /// @inheritdoc IOffshoreYuan
    function setHook(address current, address next) external slow {
        if (current != address(_hook)) revert OutOfDate();
        if (next != address(0) && next.code.length == 0) revert InvalidHook(next);
        _hook = ITransferHook(next);
        _rules = _rules.withHooked(next != address(0));
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

    /// @inheritdoc IOffshoreYuan
    function setContractURI(bytes32 currentHash, string calldata next) external slow {
        if (currentHash != keccak256(bytes(contractURI()))) revert OutOfDate();
        _contractURI = next;
        emit ContractURIUpdated();
    }

    /// @inheritdoc IOffshoreYuan
    function rescue(IERC20 foreign, address to, uint256 value) external slow {
        SafeERC20.safeTransfer(foreign, to, value);
        emit Rescued(address(foreign), to, value);
    }

    // Views

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _totals.supply();
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].word.balance();
    }

    /// @inheritdoc IERC20
    function allowance(address owner, address spender) external view returns (uint256) {
        return _allowances[owner][spender].value;
    }

    /// @inheritdoc IOffshoreYuan
    function redeemed() external view returns (uint256) {
        return _totals.redeemed();
    }

    /// @inheritdoc IOffshoreYuan
    function liabilities() external view returns (uint256) {
        uint256 paid = IReserveFeed(_rules.feed()).backing().paid();
        TotalsWord totals = _totals;
        return totals.supply() + Math.saturatingSub(totals.redeemed(), paid);
    }

    /// @inheritdoc IOffshoreYuan
    function nextNumber() external view returns (uint64) {
        return _totals.nextNumber();
    }

    /// @inheritdoc IOffshoreYuan
    function minter() external view returns (address) {
        return _minting.minter;
    }

    /// @inheritdoc IOffshoreYuan
    function feed() external view returns (address) {
        return _rules.feed();
    }

    /// @inheritdoc IOffshoreYuan
    function reportAge() external view returns (uint32) {
        return _minting.reportAge;
    }

    /// @inheritdoc IOffshoreYuan
    function accountOf(address account) external view returns (uint256 balance, uint16 status, uint32 freezeCount) {
        AccountWord word = _accounts[account].word;
        return (word.balance(), word.status(), word.freezeCount());
    }

    /// @inheritdoc IOffshoreYuan
    function rules()
        external
        view
        returns (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount, address hook)
    {
        RulesWord word = _rules;
        return (word.required(), word.forbidden(), word.stops(), word.stopCount(), address(_hook));
    }

    /// @inheritdoc IOffshoreYuan
    function requireTransfer(address spender, address from, address to, uint256 value) external view {
        RulesWord word = _rules;
        if (spender != from) {
            _requireByPolicy(word, spender, _accounts[spender].word);
            uint256 allowed = _allowances[from][spender].value;
            if (allowed < value) revert ERC20InsufficientAllowance(spender, allowed, value);
        }
        _requireMovable(word, from, _accounts[from].word, to, _accounts[to].word, value);
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

    /// @inheritdoc IOffshoreYuan
    function contractURI() public view returns (string memory) {
        return bytes(_contractURI).length == 0 ? SANDBOX_URI : _contractURI;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC20).interfaceId
            || interfaceId == type(IERC20Metadata).interfaceId || interfaceId == type(IERC20Permit).interfaceId
            || interfaceId == type(IERC3009).interfaceId || interfaceId == type(IERC3009Cancel).interfaceId
            || interfaceId == type(IERC5267).interfaceId || interfaceId == this.contractURI.selector;
    }

    function _domainName() internal pure override returns (string memory) {
        return name;
    }

    // Effects

    function _approve(address owner, address spender, uint256 value) internal override {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        _allowances[owner][spender].value = value;
        emit Approval(owner, spender, value);
    }

    function _transfer(address from, address to, uint256 value) internal override {
        _move(_rules, from, to, value);
    }

    function _move(RulesWord word, address from, address to, uint256 value) private {
        Account storage sender = _accounts[from];
        Account storage recipient = _accounts[to];
        AccountWord debited = sender.word;
        AccountWord credited = recipient.word;
        if (!word.clears(debited, credited, value)) _requireMovable(word, from, debited, to, credited, value);
        if (from != to) {
            sender.word = debited.debit(value);
            recipient.word = credited.credit(value);
        }
        emit Transfer(from, to, value);
    }

    function _issue(Order order) private returns (uint256 value) {
        address recipient = order.recipient();
        value = order.value();
        Account storage account = _accounts[recipient];
        AccountWord word = account.word;
        if (!word.isCustomer()) _refuse(recipient, word.status());
        if (value == 0) revert ZeroValue();
        account.word = word.credit(value);
        emit Transfer(address(0), recipient, value);
    }

    function _redeem(address account, uint256 value, bytes32 instruction) internal override {
        if (_rules.isStopped(STOP_REDEEM)) revert ActStopped(STOP_REDEEM);
        AccountWord word = _accounts[account].word;
        if (!word.isCustomer()) _refuse(account, word.status());
        _burn(account, word, value, instruction);
    }

    /// @return id The redemption's.
    function _burn(address account, AccountWord word, uint256 value, bytes32 instruction) private returns (uint256 id) {
        if (value == 0) revert ZeroValue();
        if (value > word.balance()) revert ERC20InsufficientBalance(account, word.balance(), value);
        if (value % UNITS_PER_FEN != 0 && value != word.balance()) revert FractionOfFen(value);

        _accounts[account].word = word.debit(value);
        TotalsWord totals = _totals.burned(value);
        _totals = totals;
        id = totals.redeemed();
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
    function _requireBacked(address feed_, uint256 supply, uint256 redeemed_, uint256 maxAge) private view {
        BackingWord backing = IReserveFeed(feed_).backing();
        uint256 paid = backing.paid();
        uint256 minted = supply + redeemed_;
        if (block.timestamp > backing.asOf() + maxAge) revert ReportTooOld(backing.asOf());
        if (paid > redeemed_) revert PaidTwice(paid, redeemed_);
        if (minted - paid > backing.reserve()) revert Unbacked(minted - paid, backing.reserve());
        if (minted > backing.credited()) revert NotCredited(minted, backing.credited());
    }

    /// @dev What is wrong with a transfer, if anything is.
    function _requireMovable(
        RulesWord word,
        address from,
        AccountWord sender,
        address to,
        AccountWord recipient,
        uint256 value
    ) private view {
        if (word.isStopped(STOP_TRANSFER)) revert ActStopped(STOP_TRANSFER);
        _requireByPolicy(word, from, sender);
        _requireByPolicy(word, to, recipient);
        if (value > sender.balance()) revert ERC20InsufficientBalance(from, sender.balance(), value);
        if (word.isHooked()) _hook.requireTransfer(from, to, value);
    }

    function _requireByPolicy(RulesWord word, address account, AccountWord accountWord) private view {
        if (!word.allows(accountWord)) _refuse(account, accountWord.status());
    }

    function _refuse(address account, uint16 status) private view {
        if (account == address(0) || account == address(this)) revert ERC20InvalidReceiver(account);
        if (status & FROZEN != 0) revert AccountFrozen(account);
        if (status & VERIFIED == 0) revert AccountNotVerified(account);
        revert AccountStatusRefused(account, status);
    }
}
