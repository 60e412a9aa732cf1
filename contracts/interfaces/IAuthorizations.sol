// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ISignatures} from "./ISignatures.sol";

/// @title What holders do by signature
/// @notice ERC-2612, ERC-3009 and a signed redemption, over the EIP-712 domain that ERC-5267 tells. Anyone may submit a
/// signed message; the submitter moves nothing of its own, so its status is not asked. Every signature is given as v, r, s
/// or as bytes: 65 bytes of ECDSA, or whatever an ERC-1271 wallet accepts. Times are in seconds since 1970. A nonce of an
/// authorization is any 32 bytes, used once, whether for a transfer, a redemption or a cancellation.
interface IAuthorizations is ISignatures, IERC20Permit, IERC3009, IERC3009Cancel {
    /// @notice The permit's deadline has passed.
    error PermitExpired(uint256 deadline);
    /// @notice Authorizations are valid after `validAfter` and before `validBefore`, both excluded.
    error AuthorizationNotValidNow(uint256 validAfter, uint256 validBefore);
    error AuthorizationUsedOrCanceled(address authorizer, bytes32 nonce);
    /// @notice Only the recipient may take what it was authorized to receive.
    error NotRecipient(address caller);

    // ERC-2612

    /// @notice {IERC20Permit-permit} with the signature as bytes.
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;

    // ERC-3009

    /// @notice Moves the holder's tokens; refused as the same {IERC20-transfer} by the holder would be.
    /// @dev Who: anyone with the holder's signature. Emits AuthorizationUsed and Transfer.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// @notice Moves the holder's tokens to the caller, so that nobody else can take the payment out of its context.
    /// @dev Who: only `to`, with the holder's signature. Emits AuthorizationUsed and Transfer.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// @notice Uses a nonce up for nothing; works whatever is stopped or frozen.
    /// @dev Who: anyone with the authorizer's signature. Emits AuthorizationCanceled.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external;

    // Redemption

    /// @notice Redeems the holder's tokens, see {IOffshoreYuan-redeem}.
    /// @dev Who: anyone with the holder's signature, which covers value, instruction, nonce and time: it authorizes this
    /// one redemption and no other. Emits AuthorizationUsed, Transfer and Redeemed.
    /// @param validBefore The first second in which it is too late.
    function redeemWithAuthorization(
        address from,
        uint256 value,
        bytes32 instruction,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    // Type hashes of EIP-712

    function PERMIT_TYPEHASH() external view returns (bytes32);

    function TRANSFER_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    function RECEIVE_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    function CANCEL_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    function REDEEM_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
}
