// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ISignatures} from "./interfaces/ISignatures.sol";

/// @title What a key or a wallet has signed
/// @dev The one place where a holder's signature is checked, over the EIP-712 domain of name, version, chain and contract.
/// OpenZeppelin's EIP712 does the same with two storage slots that nothing uses.
abstract contract Signatures is ISignatures {
    /// @inheritdoc ISignatures
    string public constant version = "1";

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VERSION_HASH = keccak256("1");
    /// @dev Which of the five fields of a domain are used; the salt is not.
    bytes1 private constant DOMAIN_FIELDS = 0x0f;

    bytes32 private immutable _nameHash;
    uint256 private immutable _chainId;
    bytes32 private immutable _separator;

    constructor() {
        _nameHash = keccak256(bytes(_domainName()));
        _chainId = block.chainid;
        _separator = _separatorNow();
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (DOMAIN_FIELDS, _domainName(), version, block.chainid, address(this), 0, new uint256[](0));
    }

    /// @dev ECDSA first, so that a key with EIP-7702 code can still sign; then ERC-1271. Asking for the code first would
    /// lock such a key out.
    function _requireSigned(address signer, bytes32 structHash, bytes memory signature) internal view {
        bytes32 digest = _digestOf(structHash);
        (address recovered, ECDSA.RecoverError error_,) = ECDSA.tryRecover(digest, signature);
        if (error_ == ECDSA.RecoverError.NoError && recovered == signer) return;
        if (!SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) revert SignatureRefused(signer);
    }

    function _digestOf(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domainSeparator(), structHash);
    }

    /// @dev A chain that splits gives one side a new id, where what was signed before must not count.
    function _domainSeparator() internal view returns (bytes32) {
        return block.chainid == _chainId ? _separator : _separatorNow();
    }

    function _domainName() internal pure virtual returns (string memory);

    function _separatorNow() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, _nameHash, VERSION_HASH, block.chainid, address(this)));
    }
}
