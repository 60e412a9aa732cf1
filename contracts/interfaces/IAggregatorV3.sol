// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Chainlink's AggregatorV3Interface
/// @notice The round is the report's number, the answer the reserve in units of 10^-6 CNH, and both times the report's
/// as-of time. Only the latest round can be read.
interface IAggregatorV3 {
    /// @notice No report was posted, or not under this number, or a later one replaced it.
    error NoSuchRound(uint80 roundId);

    function decimals() external view returns (uint8);

    function description() external view returns (string memory);

    function version() external view returns (uint256);

    function getRoundData(uint80 roundId)
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    function latestRoundData()
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
