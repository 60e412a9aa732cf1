// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

/// @title Acts that wait
/// @notice A slow act is a function that only the contract itself may call. Whoever the authority allows to call it
/// proposes the exact call, waits DELAY seconds in sight of everybody, and accepts it; meanwhile the guardian may cancel.
/// An act names the state that it undoes, so that one proposed for a state that has passed can no longer be done.
interface ISlowActs {
    /// @param actId keccak256 of `act`.
    /// @param act The ABI-encoded call that the contract will make to itself.
    /// @param readyAt The first second in which it may be accepted.
    event Proposed(bytes32 indexed actId, bytes act, uint48 readyAt, address by);
    event Accepted(bytes32 indexed actId, address by);
    event Cancelled(bytes32 indexed actId, address by);

    /// @notice `caller` has not the role that the authority's table asks for `selector`.
    error NotAllowed(address caller, bytes4 selector);
    /// @notice The function is a slow act: propose it, wait, accept it.
    error OnlyBySlowAct();
    /// @notice A slow act must wait at least a second.
    error NoDelay();
    error AlreadyProposed(bytes32 actId, uint48 readyAt);
    error NotProposed(bytes32 actId);
    error NotReady(bytes32 actId, uint48 readyAt);
    error Expired(bytes32 actId, uint48 expiresAt);
    /// @notice The act names a state that is not the present one.
    error OutOfDate();
    /// @notice The outcome of a rehearsal that went well. Never reaches a caller.
    error Rehearsed();

    /// @notice Puts an act up for acceptance after DELAY seconds.
    /// @dev Who: whoever may call the act's function by the authority's table, at once and not through
    /// AccessManager.execute. Cannot: change anything by itself, nor propose an act that would fail now (it is rehearsed
    /// and undone), nor propose one that waits already. Emits {Proposed}.
    function propose(bytes calldata act) external returns (bytes32 actId);

    /// @notice Does an act that was proposed.
    /// @dev Who: whoever may propose it, checked again. Delayed by: DELAY since the proposal; refused once ACCEPT_WINDOW
    /// has passed after that, or when the state it names has changed. Emits {Accepted}.
    function accept(bytes calldata act) external;

    /// @notice Withdraws a waiting proposal.
    /// @dev Who: GUARDIAN, at once. Cannot: touch an act that was done. Emits {Cancelled}.
    function cancel(bytes32 actId) external;

    /// @notice Does an act and undoes it, reverting with {Rehearsed} when it went well and with the act's own error when
    /// it did not.
    /// @dev Who: only the contract itself, while an act is being proposed.
    function rehearse(bytes calldata act) external;

    /// @notice When a waiting act may be accepted; zero when it does not wait.
    function readyAt(bytes32 actId) external view returns (uint48);

    /// @notice Seconds between a proposal and the first moment of its acceptance. Never changes.
    function DELAY() external view returns (uint32);

    /// @notice Seconds in which a ready act may be accepted; afterwards it must be proposed again.
    function ACCEPT_WINDOW() external view returns (uint32);

    /// @notice Who may call what. Never changes.
    function authority() external view returns (IAccessManager);
}
