// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deployed} from "./Deployed.sol";
import {vm} from "./Vm.sol";

/// @dev Messages put together from the words of EIP-712, ERC-2612 and ERC-3009, not from the contracts.
abstract contract Signing is Deployed {
    bytes32 internal constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 internal constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 internal constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 internal constant CANCEL = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    bytes32 internal constant REDEEM = keccak256(
        "RedeemWithAuthorization(address from,uint256 value,bytes32 instruction,uint256 validBefore,bytes32 nonce)"
    );

    uint256 internal constant FOREVER = type(uint256).max;
    uint256 internal constant KEY = 0x51E7;
    /// @dev A verified holder whose key is at hand.
    address internal immutable holder = vm.addr(KEY);

    function setUp() public virtual override {
        super.setUp();
        verify(holder);
    }

    function domainOf(string memory name, uint256 chain, address target) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256(bytes(name)), keccak256("1"), chain, target));
    }

    function digest(bytes memory fields) internal view returns (bytes32) {
        return digestOn(block.chainid, fields);
    }

    function digestOn(uint256 chain, bytes memory fields) internal view returns (bytes32) {
        bytes32 domain = domainOf("Offshore Yuan Sandbox", chain, address(token));
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(fields)));
    }

    function signed(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    function permitOf(address spender, uint256 value, uint256 nonce, uint256 deadline) internal view returns (bytes32) {
        return digest(abi.encode(PERMIT, holder, spender, value, nonce, deadline));
    }

    /// @dev A transfer or a receipt, by its type, valid from the beginning of time to its end.
    function moveOf(bytes32 kind, address to, uint256 value, bytes32 nonce) internal view returns (bytes memory) {
        return signed(KEY, digest(abi.encode(kind, holder, to, value, 0, FOREVER, nonce)));
    }

    function cancellation(bytes32 nonce) internal view returns (bytes memory) {
        return signed(KEY, digest(abi.encode(CANCEL, holder, nonce)));
    }

    function redemption(uint256 value, bytes32 instruction, bytes32 nonce) internal view returns (bytes memory) {
        return signed(KEY, digest(abi.encode(REDEEM, holder, value, instruction, FOREVER, nonce)));
    }
}
