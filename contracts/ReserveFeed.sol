// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SlowActs} from "./SlowActs.sol";
import {IAggregatorV3} from "./interfaces/IAggregatorV3.sol";
import {IReserveFeed} from "./interfaces/IReserveFeed.sol";
import {BackingWord, toBackingWord} from "./types/BackingWord.sol";

/// @title The latest reserve report
contract ReserveFeed is IReserveFeed, IAggregatorV3, EIP712, SlowActs {
    // Constants

    bytes32 public constant REPORT_TYPEHASH = keccak256(
        "Report(address token,uint64 number,uint256 reserve,uint256 paid,uint256 credited,uint64 asOf,bytes32 logRoot,uint64 logSize)"
    );
    uint8 public constant decimals = 6;
    string public constant description = "OCNH reserve, CNH";
    uint256 public constant version = 1;

    uint256 private constant MIN_QUORUM = 2;
    uint256 private constant ADDRESS_LENGTH = 20;

    /// @dev The marker role of contracts/roles.toml that goes with a place in the set of attestors.
    uint64 public immutable ATTESTOR;

    // Storage

    struct Set {
        uint32 version;
        uint8 count;
        uint8 quorum;
    }

    BackingWord private _backing;
    uint64 private _number;
    uint64 private _logSize;
    bytes32 private _logRoot;
    /// @inheritdoc IReserveFeed
    address public token;
    Set private _set;
    /// @inheritdoc IReserveFeed
    mapping(address account => bool) public isAttestor;

    constructor(IAccessManager authority_, uint64 attestorRole, uint32 delay)
        EIP712("ReserveFeed", "1")
        SlowActs(authority_, delay)
    {
        ATTESTOR = attestorRole;
    }

    // Reports

    /// @inheritdoc IReserveFeed
    function post(Report calldata report, bytes[] calldata signatures) external {
        _requireNext(report);
        _requireQuorum(digestOf(report), signatures);

        _backing = toBackingWord({
            reserve_: _narrow(report.reserve),
            paid_: _narrow(report.paid),
            credited_: _narrow(report.credited),
            asOf_: uint40(report.asOf)
        });
        _number = report.number;
        _logSize = report.logSize;
        _logRoot = report.logRoot;
        emit ReportPosted(
            report.number, report.reserve, report.paid, report.credited, report.asOf, report.logRoot, report.logSize
        );
    }

    // Powers

    /// @inheritdoc IReserveFeed
    function bind(address token_, address[] calldata attestors, uint8 quorum_) external restricted {
        if (token != address(0)) revert AlreadyBound(token);
        if (token_ == address(0)) revert InvalidToken(token_);
        token = token_;
        emit Bound(token_);
        for (uint256 i = 0; i < attestors.length; ++i) {
            _add(attestors[i]);
        }
        _setQuorum(quorum_);
    }

    /// @inheritdoc IReserveFeed
    function removeAttestor(address attestor) external {
        // Whoever may add may remove.
        if (!_isAllowed(msg.sender, this.addAttestor.selector)) _requireAllowed(msg.sender, msg.sig);
        _remove(attestor);
        if (_set.count < _set.quorum) revert InvalidQuorum(_set.quorum, _set.count);
    }

    // Slow acts

    /// @inheritdoc IReserveFeed
    function addAttestor(uint32 version_, address attestor) external slow {
        _requireVersion(version_);
        _add(attestor);
    }

    /// @inheritdoc IReserveFeed
    function replaceAttestor(uint32 version_, address current, address next) external slow {
        _requireVersion(version_);
        _remove(current);
        _add(next);
    }

    /// @inheritdoc IReserveFeed
    function setQuorum(uint32 version_, uint8 quorum_) external slow {
        _requireVersion(version_);
        _setQuorum(quorum_);
    }

    // Views

    /// @inheritdoc IReserveFeed
    function backing() external view returns (BackingWord) {
        return _backing;
    }

    /// @inheritdoc IReserveFeed
    function latestReport() external view returns (Report memory) {
        BackingWord word = _backing;
        return Report({
            token: token,
            number: _number,
            reserve: word.reserve(),
            paid: word.paid(),
            credited: word.credited(),
            asOf: uint64(word.asOf()),
            logRoot: _logRoot,
            logSize: _logSize
        });
    }

    /// @inheritdoc IReserveFeed
    function digestOf(Report calldata report) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, report)));
    }

    /// @inheritdoc IReserveFeed
    function attestorSet() external view returns (uint8 quorum, uint8 count, uint32 setVersion) {
        Set memory set = _set;
        return (set.quorum, set.count, set.version);
    }

    /// @inheritdoc IAggregatorV3
    function getRoundData(uint80 roundId)
        public
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        if (roundId == 0 || roundId != _number) revert NoSuchRound(roundId);
        BackingWord word = _backing;
        return (roundId, int256(word.reserve()), word.asOf(), word.asOf(), roundId);
    }

    /// @inheritdoc IAggregatorV3
    function latestRoundData()
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return getRoundData(_number);
    }

    // Effects

    function _add(address attestor) private {
        if (attestor == address(0)) revert InvalidAttestor(attestor);
        if (isAttestor[attestor]) revert AlreadyAttestor(attestor);
        isAttestor[attestor] = true;
        _set.count += 1;
        _set.version += 1;
        emit AttestorAdded(attestor, _set.version);
        authority.grantRole(ATTESTOR, attestor, 0);
    }

    function _remove(address attestor) private {
        if (!isAttestor[attestor]) revert NotAnAttestor(attestor);
        isAttestor[attestor] = false;
        _set.count -= 1;
        _set.version += 1;
        emit AttestorRemoved(attestor, _set.version);
        authority.revokeRole(ATTESTOR, attestor);
    }

    function _setQuorum(uint8 quorum_) private {
        if (quorum_ < MIN_QUORUM || quorum_ > _set.count) revert InvalidQuorum(quorum_, _set.count);
        _set.quorum = quorum_;
        _set.version += 1;
        emit QuorumSet(quorum_, _set.version);
    }

    // Checks

    function _requireNext(Report calldata report) private view {
        if (token == address(0) || report.token != token) revert WrongToken(report.token);
        if (report.number <= _number) revert StaleNumber(report.number, _number);
        uint64 latest = uint64(_backing.asOf());
        if (report.asOf <= latest || report.asOf > block.timestamp) {
            revert InvalidAsOf(report.asOf, latest, block.timestamp);
        }
        if (report.logSize < _logSize || (report.logSize == _logSize && report.logRoot != _logRoot && _number != 0)) {
            revert LogRewritten(report.logSize, _logSize);
        }
    }

    function _requireQuorum(bytes32 digest, bytes[] calldata signatures) private view {
        if (signatures.length < _set.quorum) revert TooFewSignatures(signatures.length, _set.quorum);
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = _signerOf(digest, signatures[i], i);
            if (signer <= previous) revert SignersNotAscending(signer, previous);
            previous = signer;
        }
    }

    function _requireVersion(uint32 version_) private view {
        if (version_ != _set.version) revert OutOfDate();
    }

    /// @dev ECDSA first, so that a key with EIP-7702 code can still sign; then ERC-1271.
    function _signerOf(bytes32 digest, bytes calldata signature, uint256 index) private view returns (address) {
        (address recovered, ECDSA.RecoverError error_,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (error_ == ECDSA.RecoverError.NoError && isAttestor[recovered]) return recovered;
        if (signature.length >= ADDRESS_LENGTH) {
            address named = address(bytes20(signature));
            if (isAttestor[named] && _accepts(named, digest, signature[ADDRESS_LENGTH:])) return named;
        }
        if (error_ == ECDSA.RecoverError.NoError) revert NotAnAttestor(recovered);
        revert InvalidSignature(index);
    }

    function _accepts(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }

    function _narrow(uint256 amount) private pure returns (uint72) {
        if (amount > type(uint72).max) revert AmountTooLarge(amount);
        return uint72(amount);
    }
}
