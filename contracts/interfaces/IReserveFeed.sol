// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BackingWord} from "../types/BackingWord.sol";

/// @title The latest reserve report
/// @notice One report on one token of one chain, signed (EIP-712) by a quorum of attestors who are not minters.
/// A report that is too old stops minting, and nothing else.
interface IReserveFeed {
    /// @notice What the attestors sign. Amounts in units of 10^-6 CNH.
    /// @param token The token that the reserve backs; the chain and this feed are in the EIP-712 domain.
    /// @param number Grows with every report; gaps are allowed.
    /// @param reserve Balance of the reserve account.
    /// @param paid Par value of the redemptions that the bank has discharged, net of returned payouts.
    /// @param credited Everything ever moved into the reserve for mints, net of what went back for failed orders.
    /// @param asOf The second that the figures are of.
    /// @param logRoot RFC 6962 root of the issuer's audit log.
    /// @param logSize Number of records under `logRoot`.
    struct Report {
        address token;
        uint64 number;
        uint256 reserve;
        uint256 paid;
        uint256 credited;
        uint64 asOf;
        bytes32 logRoot;
        uint64 logSize;
    }

    event Bound(address indexed token);
    event ReportPosted(
        uint64 indexed number,
        uint256 reserve,
        uint256 paid,
        uint256 credited,
        uint64 asOf,
        bytes32 indexed logRoot,
        uint64 logSize
    );
    /// @param version Of the attestor set after the change.
    event AttestorAdded(address indexed attestor, uint32 version);
    event AttestorRemoved(address indexed attestor, uint32 version);
    event QuorumSet(uint8 quorum, uint32 version);

    error AlreadyBound(address token);
    error InvalidToken(address token);
    error WrongToken(address token);
    /// @notice Numbers must grow.
    error StaleNumber(uint64 number, uint64 latest);
    /// @notice As-of times must grow and must not lie in the future.
    error InvalidAsOf(uint64 asOf, uint64 latest, uint256 blockTime);
    error AmountTooLarge(uint256 amount);
    /// @notice The log is shorter than the one already anchored, or of the same size with another root.
    error LogRewritten(uint64 size, uint64 latest);
    error TooFewSignatures(uint256 given, uint256 quorum);
    /// @notice Signers must be attestors in strictly ascending order of address.
    error SignersNotAscending(address signer, address previous);
    error NotAnAttestor(address signer);
    /// @notice No attestor's signature can be read out of these bytes.
    error InvalidSignature(uint256 index);
    error AlreadyAttestor(address attestor);
    error InvalidAttestor(address attestor);
    /// @notice A quorum is at least two and at most the number of attestors.
    error InvalidQuorum(uint256 quorum, uint256 attestors);

    /// @notice Takes a report.
    /// @dev Who: anyone with the signatures. Each signature is either an attestor's 65-byte ECDSA signature, or the
    /// 20-byte address of a contract attestor followed by its ERC-1271 signature. Emits {ReportPosted}.
    function post(Report calldata report, bytes[] calldata signatures) external;

    /// @notice Ties the feed to its token and sets the first attestors.
    /// @dev Who: ADMIN, once, which is the bootstrap at deployment. Cannot: be repeated. Emits {Bound}, {AttestorAdded}
    /// for each attestor, {QuorumSet}.
    function bind(address token_, address[] calldata attestors, uint8 quorum_) external;

    /// @notice Removes an attestor.
    /// @dev Who: GUARDIAN or ADMIN, at once. Cannot: leave fewer attestors than the quorum, which would close minting
    /// unsaid: stop minting and replace the attestor instead. Waiting changes of the set go out of date.
    /// Emits {AttestorRemoved}.
    function removeAttestor(address attestor) external;

    /// @notice Slow act: adds an attestor to the set of that version.
    /// @dev Who: ADMIN proposes and accepts. Delayed by: DELAY. Cannot: add who holds a conflicting role.
    /// Emits {AttestorAdded}.
    function addAttestor(uint32 version, address attestor) external;

    /// @notice Slow act: puts `next` in the place of `current` in the set of that version.
    /// @dev Who: ADMIN proposes and accepts. Delayed by: DELAY. Emits {AttestorRemoved}, {AttestorAdded}.
    function replaceAttestor(uint32 version, address current, address next) external;

    /// @notice Slow act: sets how many attestors must sign.
    /// @dev Who: ADMIN proposes and accepts. Delayed by: DELAY. Cannot: go below two or above the number of attestors.
    /// Emits {QuorumSet}.
    function setQuorum(uint32 version, uint8 quorum_) external;

    /// @notice The token this feed is bound to; zero before that.
    function token() external view returns (address);

    /// @notice The figures that a mint is checked against.
    function backing() external view returns (BackingWord);

    /// @notice The latest report; all zero but the token before the first.
    function latestReport() external view returns (Report memory);

    /// @notice The EIP-712 digest that attestors sign.
    function digestOf(Report calldata report) external view returns (bytes32);

    function isAttestor(address account) external view returns (bool);

    /// @notice Signatures needed, size of the set, and the version that the next change must name.
    function attestorSet() external view returns (uint8 quorum, uint8 count, uint32 version);
}
