// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ISlowActs} from "./interfaces/ISlowActs.sol";

/// @title Acts that wait, and rights that the authority's table gives
/// @dev AccessManager hangs its delays on (role, account), lets ADMIN set them, and lets an operation be scheduled before
/// it is needed. So the delay of a slow act is here, in the contract that it changes, and cannot be set at all.
abstract contract SlowActs is ISlowActs {
    /// @inheritdoc ISlowActs
    uint32 public constant ACCEPT_WINDOW = 7 days;

    /// @inheritdoc ISlowActs
    IAccessManager public immutable authority;
    /// @inheritdoc ISlowActs
    uint32 public immutable DELAY;

    /// @inheritdoc ISlowActs
    mapping(bytes32 actId => uint48) public readyAt;

    /// @dev Only who the authority's table allows to call this function.
    modifier restricted() {
        _requireAllowed(msg.sender, msg.sig);
        _;
    }

    /// @dev Only as a slow act.
    modifier slow() {
        if (msg.sender != address(this)) revert OnlyBySlowAct();
        _;
    }

    constructor(IAccessManager authority_, uint32 delay) {
        if (delay == 0) revert NoDelay();
        authority = authority_;
        DELAY = delay;
    }

    /// @inheritdoc ISlowActs
    function propose(bytes calldata act) external returns (bytes32 actId) {
        _requireAllowed(msg.sender, bytes4(act));
        actId = keccak256(act);
        uint48 waiting = readyAt[actId];
        if (waiting != 0 && block.timestamp < waiting + ACCEPT_WINDOW) revert AlreadyProposed(actId, waiting);
        _requireDoable(act);

        uint48 ready = uint48(block.timestamp) + DELAY;
        readyAt[actId] = ready;
        emit Proposed(actId, act, ready, msg.sender);
    }

    /// @inheritdoc ISlowActs
    function accept(bytes calldata act) external {
        _requireAllowed(msg.sender, bytes4(act));
        bytes32 actId = keccak256(act);
        uint48 ready = readyAt[actId];
        if (ready == 0) revert NotProposed(actId);
        if (block.timestamp < ready) revert NotReady(actId, ready);
        uint48 expiresAt = ready + ACCEPT_WINDOW;
        if (block.timestamp >= expiresAt) revert Expired(actId, expiresAt);

        delete readyAt[actId];
        emit Accepted(actId, msg.sender);
        Address.functionCall(address(this), act);
    }

    /// @inheritdoc ISlowActs
    function cancel(bytes32 actId) external restricted {
        if (readyAt[actId] == 0) revert NotProposed(actId);
        delete readyAt[actId];
        emit Cancelled(actId, msg.sender);
    }

    /// @inheritdoc ISlowActs
    function rehearse(bytes calldata act) external slow {
        Address.functionCall(address(this), act);
        revert Rehearsed();
    }

    function _requireDoable(bytes calldata act) private {
        try this.rehearse(act) {}
        catch (bytes memory outcome) {
            if (bytes4(outcome) != Rehearsed.selector) Address.verifyCallResult(false, outcome);
        }
    }

    /// @dev Through AccessManager.execute the caller is the manager, which may call what it is executing and nothing else:
    /// never the function inside an act, so it neither proposes nor accepts.
    function _requireAllowed(address caller, bytes4 selector) internal view {
        if (!_isAllowed(caller, selector)) revert NotAllowed(caller, selector);
    }

    function _isAllowed(address caller, bytes4 selector) internal view returns (bool immediate) {
        (immediate,) = authority.canCall(caller, address(this), selector);
    }
}
