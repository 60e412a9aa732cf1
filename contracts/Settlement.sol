// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Signatures} from "./Signatures.sol";
import {IAuthorizations} from "./interfaces/IAuthorizations.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Both legs or none
/// @dev Nothing is held when a call begins or ends, and only {settle} moves tokens; it is not entered twice.
contract Settlement is ISettlement, Signatures, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    // Constants

    /// @inheritdoc ISettlement
    bytes32 public constant LEG_TYPEHASH = keccak256("Leg(address from,address token,uint256 value)");
    /// @inheritdoc ISettlement
    bytes32 public constant TRADE_TYPEHASH = keccak256(
        "Trade(Leg first,Leg second,uint256 expiry,bytes32 salt)Leg(address from,address token,uint256 value)"
    );

    // Storage

    /// @inheritdoc ISettlement
    mapping(bytes32 tradeHash => State) public stateOf;

    // Parties

    /// @inheritdoc ISettlement
    function settle(Trade calldata trade, Consent calldata first, Consent calldata second) external nonReentrant {
        if (block.timestamp >= trade.expiry) revert TradeExpired(trade.expiry);
        bytes32 tradeHash = hashOf(trade);
        _close(tradeHash, State.SETTLED);
        emit Settled(tradeHash, trade.first.from, trade.second.from);

        _take(trade, trade.first, first);
        _take(trade, trade.second, second);
        _give(trade.first, trade.second.from);
        _give(trade.second, trade.first.from);
    }

    /// @inheritdoc ISettlement
    function cancel(Trade calldata trade) external {
        if (msg.sender != trade.first.from && msg.sender != trade.second.from) revert NotParty(msg.sender);
        bytes32 tradeHash = hashOf(trade);
        _close(tradeHash, State.CANCELLED);
        emit Cancelled(tradeHash, msg.sender);
    }

    // Views

    /// @inheritdoc ISettlement
    function hashOf(Trade calldata trade) public view returns (bytes32) {
        return _digestOf(_structHash(trade));
    }

    // Effects

    function _close(bytes32 tradeHash, State state) private {
        if (stateOf[tradeHash] != State.OPEN) revert TradeClosed(tradeHash, stateOf[tradeHash]);
        stateOf[tradeHash] = state;
    }

    function _take(Trade calldata trade, Leg calldata leg, Consent calldata consent) private {
        uint256 before = leg.token.balanceOf(address(this));
        if (consent.way == Way.AUTHORIZATION) {
            IAuthorizations(address(leg.token))
                .receiveWithAuthorization(
                    leg.from, address(this), leg.value, 0, trade.expiry, hashOf(trade), consent.signature
                );
        } else {
            // An allowance says nothing of this trade, so its giver must.
            _requireSigned(leg.from, _structHash(trade), consent.signature);
            _permit(leg, consent.permit);
            leg.token.safeTransferFrom(leg.from, address(this), leg.value);
        }
        _requireMoved(leg, before, address(this));
    }

    function _give(Leg calldata leg, address to) private {
        uint256 before = leg.token.balanceOf(to);
        leg.token.safeTransfer(to, leg.value);
        _requireMoved(leg, before, to);
    }

    function _permit(Leg calldata leg, bytes calldata permit) private {
        if (permit.length == 0) return;
        (uint256 deadline, uint8 v, bytes32 r, bytes32 s) = abi.decode(permit, (uint256, uint8, bytes32, bytes32));
        try IERC20Permit(address(leg.token)).permit(leg.from, address(this), leg.value, deadline, v, r, s) {} catch {}
    }

    // Checks

    function _requireMoved(Leg calldata leg, uint256 before, address to) private view {
        uint256 moved = leg.token.balanceOf(to) - before;
        if (moved != leg.value) revert WrongValue(leg.token, moved, leg.value);
    }

    function _structHash(Trade calldata trade) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(TRADE_TYPEHASH, _hashLeg(trade.first), _hashLeg(trade.second), trade.expiry, trade.salt)
            );
    }

    function _hashLeg(Leg calldata leg) private pure returns (bytes32) {
        return keccak256(abi.encode(LEG_TYPEHASH, leg.from, leg.token, leg.value));
    }

    function _domainName() internal pure override returns (string memory) {
        return "Settlement";
    }
}
