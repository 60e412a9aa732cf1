// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISignatures} from "./ISignatures.sol";

/// @title Both legs or none
/// @notice Delivery versus payment, and payment versus payment, in one transaction: each of two parties gives one ERC-20
/// and gets the other's. It holds nothing between transactions and nobody governs it. A token's own rules apply to it:
/// under the policy `verified` of the yuan, this contract must be verified like any other account.
interface ISettlement is ISignatures {
    /// @notice How a leg is taken from who gives it.
    /// AUTHORIZATION: by ERC-3009 receiveWithAuthorization, signed for this contract with the trade's hash as nonce, valid
    ///   after 0 and before the trade's expiry. Nobody but this contract can use it, and only for this trade.
    /// ALLOWANCE: by transferFrom; the giver signs the trade itself and allows the value, by approve or by ERC-2612.
    enum Way {
        AUTHORIZATION,
        ALLOWANCE
    }

    /// @param value In the token's smallest unit; what is given is exactly what arrives.
    struct Leg {
        address from;
        IERC20 token;
        uint256 value;
    }

    /// @param expiry The first second in which it is too late.
    /// @param salt Tells trades apart that are otherwise the same.
    struct Trade {
        Leg first;
        Leg second;
        uint256 expiry;
        bytes32 salt;
    }

    /// @param signature Over the authorization or over the trade, by the way.
    /// @param permit ABI-encoded (deadline, v, r, s) of an ERC-2612 permit of exactly the value; empty for none. One that
    /// fails is passed over, since anybody may have used it already.
    struct Consent {
        Way way;
        bytes signature;
        bytes permit;
    }

    enum State {
        OPEN,
        SETTLED,
        CANCELLED
    }

    event Settled(bytes32 indexed tradeHash, address indexed first, address indexed second);
    event Cancelled(bytes32 indexed tradeHash, address by);

    error TradeExpired(uint256 expiry);
    /// @notice The trade is settled or cancelled.
    error TradeClosed(bytes32 tradeHash, State state);
    /// @notice Only the two parties may cancel.
    error NotParty(address caller);
    /// @notice The token moved another value than the leg's: it takes a fee, or does not do what it says.
    error WrongValue(IERC20 token, uint256 moved, uint256 value);

    /// @notice Takes both legs and gives each to the other party, or does nothing.
    /// @dev Who: anyone with both parties' consent. Cannot: take one leg alone, settle twice, late, after a cancellation,
    /// or on another chain, nor move more or less than the legs say. Emits {Settled}.
    function settle(Trade calldata trade, Consent calldata first, Consent calldata second) external;

    /// @notice Closes a trade that has not been settled, whatever was signed.
    /// @dev Who: either party, at once. Emits {Cancelled}.
    function cancel(Trade calldata trade) external;

    /// @notice The EIP-712 hash of a trade, on this chain and for this contract.
    function hashOf(Trade calldata trade) external view returns (bytes32);

    function stateOf(bytes32 tradeHash) external view returns (State);

    function LEG_TYPEHASH() external view returns (bytes32);

    function TRADE_TYPEHASH() external view returns (bytes32);
}
