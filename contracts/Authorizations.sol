// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Signatures} from "./Signatures.sol";
import {IAuthorizations} from "./interfaces/IAuthorizations.sol";

/// @title What holders do by signature
/// @dev Who signed, when, and whether for the first time; what it does to balances is the token's.
abstract contract Authorizations is IAuthorizations, Signatures {
    // Constants

    /// @inheritdoc IAuthorizations
    bytes32 public constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    /// @inheritdoc IAuthorizations
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    /// @inheritdoc IAuthorizations
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    /// @inheritdoc IAuthorizations
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    /// @inheritdoc IAuthorizations
    bytes32 public constant REDEEM_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "RedeemWithAuthorization(address from,uint256 value,bytes32 instruction,uint256 validBefore,bytes32 nonce)"
    );

    uint256 private constant FRESH = 0;
    uint256 private constant SPENT = 1;

    // Storage

    /// @dev A whole word, which is written without being read.
    struct State {
        uint256 word;
    }

    /// @inheritdoc IERC20Permit
    mapping(address owner => uint256) public nonces;
    mapping(address authorizer => mapping(bytes32 nonce => State)) private _states;

    // ERC-2612

    /// @inheritdoc IERC20Permit
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        permit(owner, spender, value, deadline, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IAuthorizations
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes memory signature) public {
        if (block.timestamp > deadline) revert PermitExpired(deadline);
        bytes32 message;
        unchecked {
            message = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonces[owner]++, deadline));
        }
        _requireSigned(owner, message, signature);
        _approve(owner, spender, value);
    }

    // ERC-3009

    /// @inheritdoc IERC3009
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        transferWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IAuthorizations
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        bytes32 typehash = TRANSFER_WITH_AUTHORIZATION_TYPEHASH;
        _transferSigned(typehash, from, to, value, validAfter, validBefore, nonce, signature);
    }

    /// @inheritdoc IERC3009
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        receiveWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IAuthorizations
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        if (msg.sender != to) revert NotRecipient(msg.sender);
        bytes32 typehash = RECEIVE_WITH_AUTHORIZATION_TYPEHASH;
        _transferSigned(typehash, from, to, value, validAfter, validBefore, nonce, signature);
    }

    /// @inheritdoc IERC3009Cancel
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IAuthorizations
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) public {
        _spend(authorizer, nonce);
        _requireSigned(authorizer, keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)), signature);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    // Redemption

    /// @inheritdoc IAuthorizations
    function redeemWithAuthorization(
        address from,
        uint256 value,
        bytes32 instruction,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        _use(from, nonce, 0, validBefore);
        bytes32 message =
            keccak256(abi.encode(REDEEM_WITH_AUTHORIZATION_TYPEHASH, from, value, instruction, validBefore, nonce));
        _requireSigned(from, message, signature);
        _redeem(from, value, instruction);
    }

    // Views

    /// @inheritdoc IERC3009
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool) {
        return _states[authorizer][nonce].word != FRESH;
    }

    /// @inheritdoc IERC20Permit
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    // Effects

    function _approve(address owner, address spender, uint256 value) internal virtual;

    function _transfer(address from, address to, uint256 value) internal virtual;

    function _redeem(address account, uint256 value, bytes32 instruction) internal virtual;

    function _transferSigned(
        bytes32 typehash,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) private {
        _use(from, nonce, validAfter, validBefore);
        bytes32 message = keccak256(abi.encode(typehash, from, to, value, validAfter, validBefore, nonce));
        _requireSigned(from, message, signature);
        _transfer(from, to, value);
    }

    function _use(address authorizer, bytes32 nonce, uint256 validAfter, uint256 validBefore) private {
        // Seconds, whatever their bits: no value is read as a block number.
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert AuthorizationNotValidNow(validAfter, validBefore);
        }
        _spend(authorizer, nonce);
        emit AuthorizationUsed(authorizer, nonce);
    }

    function _spend(address authorizer, bytes32 nonce) private {
        State storage state = _states[authorizer][nonce];
        if (state.word != FRESH) revert AuthorizationUsedOrCanceled(authorizer, nonce);
        state.word = SPENT;
    }
}
