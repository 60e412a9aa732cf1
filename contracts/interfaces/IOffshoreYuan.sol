// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Order} from "../types/Order.sol";

/// @title A fully reserved offshore-yuan token
/// @notice ERC-20 with six decimals. All values are in units of 10^-6 CNH. Tokens come into being only by {mint}, behind a
/// gate that compares them with the latest reserve report, and go out of being only by {redeem} and {seize}.
interface IOffshoreYuan is IERC20Metadata, IERC165 {
    // Holders

    /// @notice A transfer's reference, emitted after its Transfer event.
    event Memo(address indexed from, address indexed to, bytes32 indexed memo, uint256 value);
    /// @param first The number of the batch's first order; the others follow without gaps.
    /// @param count How many orders; the Transfer events before this one are theirs, in order.
    /// @param batchRoot RFC 6962 root over the 32-byte identifiers of the batch's orders, in order.
    event Minted(uint64 indexed first, uint64 count, bytes32 indexed batchRoot);
    /// @param id The sum of everything ever redeemed, after this redemption.
    /// @param instruction Names a registered payout instruction; zero is the holder's default one.
    event Redeemed(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed instruction);

    // Powers

    event Verified(address indexed account);
    event Unverified(address indexed account);
    event Frozen(address indexed account, uint32 freezeCount);
    event Unfrozen(address indexed account, uint32 freezeCount);
    /// @param stops The bits asked for: TRANSFER 1, MINT 2, REDEEM 4.
    event Stopped(uint8 stops, uint32 stopCount);
    event Resumed(uint8 stops, uint32 stopCount);
    /// @notice Emitted after the Redeemed event of the same id, whose instruction is the case.
    event Seized(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed caseId);
    event Retired(address indexed successor);
    event Rescued(address indexed foreign, address indexed to, uint256 value);
    event MinterSet(address indexed previous, address indexed next);
    event FeedSet(address indexed previous, address indexed next);
    event HookSet(address indexed previous, address indexed next);
    event PolicySet(uint16 required, uint16 forbidden);
    event ReportAgeSet(uint32 previous, uint32 next);
    /// @notice Of ERC-7572: read {contractURI} again.
    event ContractURIUpdated();

    // Errors beside those of ERC-6093

    /// @notice A guardian has stopped this kind of act: TRANSFER 1, MINT 2, REDEEM 4.
    error ActStopped(uint8 stop);
    error AccountFrozen(address account);
    error AccountNotVerified(address account);
    /// @notice The account has a status bit that the policy forbids or lacks one that it requires.
    error AccountStatusRefused(address account, uint16 status);
    error ZeroValue();
    error NotMinter(address caller);
    /// @notice The batch does not start with the next number: another one was mined first, or this one already.
    error WrongNumber(uint64 first, uint64 next);
    error EmptyBatch();
    /// @notice There is no report, or the latest is older than the report age.
    error ReportTooOld(uint256 asOf);
    /// @notice The tokens outstanding plus unpaid redemptions would exceed the reserve.
    error Unbacked(uint256 liabilities, uint256 reserve);
    /// @notice Everything ever minted would exceed everything ever moved into the reserve for mints.
    error NotCredited(uint256 minted, uint256 credited);
    /// @notice The bank reports more redemptions paid than were ever redeemed.
    error PaidTwice(uint256 paid, uint256 redeemed);
    /// @notice A redemption is a multiple of 10,000 units, which is one fen, or the whole balance.
    error FractionOfFen(uint256 value);
    error InvalidStops(uint8 stops);
    error InvalidPolicy(uint16 required, uint16 forbidden);
    error InvalidReportAge(uint32 reportAge);
    /// @notice A minter or a feed must say that it is this token's.
    error NotOurs(address part);
    error InvalidHook(address hook);
    error AlreadyBound(address minter);
    /// @notice Only what is frozen can be seized.
    error NotFrozen(address account);
    /// @notice A seizure names the case that orders it.
    error NoCase();
    /// @notice A successor is another contract.
    error InvalidSuccessor(address successor);
    /// @notice The token has a successor, and mints no more.
    error AlreadyRetired(address successor);

    // ERC-20 with a reference

    /// @notice {IERC20-transfer} that also emits {Memo}.
    function transferWithMemo(address to, uint256 value, bytes32 memo) external returns (bool);

    /// @notice {IERC20-transferFrom} that also emits {Memo}.
    function transferFromWithMemo(address from, address to, uint256 value, bytes32 memo) external returns (bool);

    // In and out

    /// @notice Mints a batch of orders.
    /// @dev Who: the minter, which is a contract with limits. Cannot, whoever asks: mint without a fresh report, beyond
    /// the reserve less unpaid redemptions, beyond what was ever credited, under a number already used, or to an account
    /// that is not verified or is frozen. Emits a Transfer per order and one {Minted}.
    /// @param first The number of the first order; must be {nextNumber}.
    /// @param batchRoot RFC 6962 root over the batch's 32-byte order identifiers.
    /// @param orders Recipient << 96 | value, each.
    /// @return sum Of the values.
    function mint(uint64 first, bytes32 batchRoot, Order[] calldata orders) external returns (uint256 sum);

    /// @notice Burns the caller's tokens, which the issuer then owes in bank money.
    /// @dev Who: a verified holder that is not frozen. The value is in whole fen (10,000 units), or the whole balance,
    /// paid rounded down to the fen. Emits Transfer and {Redeemed}.
    /// @param instruction Names a registered payout instruction; zero is the default one, an unknown one is held.
    function redeem(uint256 value, bytes32 instruction) external;

    // Powers

    /// @notice Marks accounts as verified customers' wallets.
    /// @dev Who: REGISTRAR, at once. Cannot: move tokens, nor touch a freeze. Emits {Verified} for each.
    function verify(address[] calldata accounts) external;

    /// @notice Takes the mark away; the accounts then neither redeem nor are minted to, and transfer only if the policy
    /// is open.
    /// @dev Who: REGISTRAR, at once. Cannot: move tokens. Emits {Unverified} for each.
    function unverify(address[] calldata accounts) external;

    /// @notice Freezes accounts: they neither send, receive, spend, redeem nor are minted to. Their tokens stay backed.
    /// @dev Who: FREEZER, at once. Cannot: unfreeze, move tokens. Freezing a frozen account makes a waiting unfreeze go
    /// out of date. Emits {Frozen} for each.
    function freeze(address[] calldata accounts) external;

    /// @notice Stops transfers (1), mints (2), redemptions (4) or several of them.
    /// @dev Who: GUARDIAN, at once. Cannot: resume. Makes a waiting resume go out of date. Emits {Stopped}.
    function stop(uint8 stops) external;

    /// @notice Names the first minter.
    /// @dev Who: ADMIN, once, which is the bootstrap at deployment. Emits {MinterSet}.
    function bind(address minter_) external;

    // Slow acts: ADMIN proposes and accepts, DELAY lies between, GUARDIAN may cancel, see {ISlowActs}

    /// @notice Slow act: lifts stops, as long as nothing was stopped since.
    /// @dev Cannot: lift the stop of mint once the token is retired. Emits {Resumed}.
    function resume(uint8 stops, uint32 stopCount) external;

    /// @notice Slow act: lifts the freeze of that count.
    /// @dev Cannot: touch a later freeze, nor the zero address and the token, which are frozen for ever. Emits
    /// {Unfrozen}.
    function unfreeze(address account, uint32 freezeCount) external;

    /// @notice Slow act: burns tokens of a frozen account and makes them a redemption under the case's identifier, which
    /// the issuer owes until it is paid as the case orders. Works whatever is stopped.
    /// @dev Cannot: touch an account that is not frozen or whose balance is not `balance`, nor take a fraction of a fen
    /// unless it takes everything. Emits Transfer, {Redeemed}, {Seized}.
    /// @param caseId Not zero. The instruction of the redemption: no payout instruction has it, so it is held.
    function seize(address account, uint256 balance, uint256 value, bytes32 caseId) external;

    /// @notice Slow act: stops mint for ever and names the token that takes this one's place. Transfer and redeem go on.
    /// @dev Cannot: be undone or repeated. Emits {Stopped}, {Retired}.
    function retire(address next) external;

    /// @notice Slow act: replaces the limits in front of {mint}.
    /// @dev Cannot: get around the gate. Emits {MinterSet}.
    function setMinter(address current, address next) external;

    /// @notice Slow act: replaces the feed of reserve reports.
    /// @dev Cannot: name a feed that is bound to another token. Emits {FeedSet}.
    function setFeed(address current, address next) external;

    /// @notice Slow act: sets or, with zero, removes the rule asked about holder-to-holder transfers.
    /// @dev Cannot: reach mint and redeem. Emits {HookSet}.
    function setHook(address current, address next) external;

    /// @notice Slow act: sets the status bits that transfers require and forbid.
    /// @dev Cannot: let frozen accounts move tokens. Emits {PolicySet}.
    function setPolicy(uint16 currentRequired, uint16 currentForbidden, uint16 required, uint16 forbidden) external;

    /// @notice Slow act: sets how old a report may be when it backs a mint, in seconds.
    /// @dev Cannot: be zero or above MAX_REPORT_AGE. Emits {ReportAgeSet}.
    function setReportAge(uint32 current, uint32 next) external;

    /// @notice Slow act: sets where the token's licence, white paper and terms are told.
    /// @dev Emits {ContractURIUpdated}.
    /// @param currentHash keccak256 of the present {contractURI}.
    function setContractURI(bytes32 currentHash, string calldata next) external;

    /// @notice Slow act: passes on foreign tokens that were sent to this contract.
    /// @dev Cannot: touch this token, which never holds itself. Emits {Rescued}.
    function rescue(IERC20 foreign, address to, uint256 value) external;

    // Views

    /// @notice Everything ever redeemed.
    function redeemed() external view returns (uint256);

    /// @notice Tokens outstanding plus redemptions that the latest report does not show as paid.
    function liabilities() external view returns (uint256);

    /// @notice The number that the next mint order gets.
    function nextNumber() external view returns (uint64);

    function minter() external view returns (address);

    function feed() external view returns (address);

    /// @notice Seconds that a report may be old when it backs a mint.
    function reportAge() external view returns (uint32);

    function MAX_REPORT_AGE() external view returns (uint32);

    /// @param account Any address.
    /// @return balance Units of 10^-6 CNH.
    /// @return status Bit 0 VERIFIED, bit 1 FROZEN.
    /// @return freezeCount How often it has been frozen; what {unfreeze} must name.
    function accountOf(address account) external view returns (uint256 balance, uint16 status, uint32 freezeCount);

    /// @return required Status bits that both sides and the spender of a transfer must have.
    /// @return forbidden Status bits that none of them may have.
    /// @return stops What is stopped: TRANSFER 1, MINT 2, REDEEM 4.
    /// @return stopCount How often something has been stopped; what {resume} must name.
    /// @return hook The further rule for transfers; zero when there is none.
    function rules()
        external
        view
        returns (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount, address hook);

    /// @notice Reverts with the error with which this transfer would fail now.
    /// @param spender Who would call; equal to `from` for a direct transfer.
    function requireTransfer(address spender, address from, address to, uint256 value) external view;

    /// @notice Whether this transfer would succeed now, and if not, the ABI-encoded error with which it would fail.
    function canTransfer(address spender, address from, address to, uint256 value)
        external
        view
        returns (bool allowed, bytes memory reason);

    /// @notice The token that takes this one's place; zero unless it is retired.
    function successor() external view returns (address);

    /// @notice ERC-7572: a document that names licence, white paper and terms; a built-in one that says SANDBOX until
    /// {setContractURI}.
    function contractURI() external view returns (string memory);

    /// @notice The market code of the currency the token is redeemed in: CNH.
    function currency() external view returns (string memory);
}
