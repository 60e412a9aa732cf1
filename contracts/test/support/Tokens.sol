// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @dev Somebody else's token, with ERC-2612 and nothing more.
contract PlainToken is ERC20Permit {
    constructor() ERC20("Plain", "PLN") ERC20Permit("Plain") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }
}

/// @dev Keeps one unit of each transfer.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) return super._update(from, to, value);
        super._update(from, to, value - 1);
        super._update(from, address(1), 1);
    }
}

/// @dev Keeps one unit of what a holder gives, and none of what is taken by allowance.
contract GivingFeeToken is PlainToken {
    function transfer(address to, uint256 value) public override returns (bool) {
        _transfer(msg.sender, address(1), 1);
        return super.transfer(to, value - 1);
    }
}

/// @dev Answers false and moves nothing.
contract FalseToken is PlainToken {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Answers true, to ERC-3009 too, and moves nothing.
contract IdleToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }

    function receiveWithAuthorization(address, address, uint256, uint256, uint256, bytes32, bytes calldata)
        external
        pure {}
}

/// @dev Calls somewhere while it moves, and goes on only if that is refused.
contract ReenteringToken is PlainToken {
    address private target;
    bytes private call;
    bytes public refusal;

    function aim(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0)) return;
        (bool done, bytes memory outcome) = target.call(call);
        require(!done, "entered again");
        refusal = outcome;
    }
}
